/* nn_thread - a thread, a lock, a condition: for the resolver and the runner alone. The core starts none. */
#ifndef NN_THREAD_H
#define NN_THREAD_H

#include "nn_base.h"

#if defined(_WIN32)
#include <windows.h>
typedef HANDLE nn_thread_handle;
typedef SRWLOCK nn_mutex;
typedef CONDITION_VARIABLE nn_condition;
#else
#include <pthread.h>
typedef pthread_t nn_thread_handle;
typedef pthread_mutex_t nn_mutex;
typedef pthread_cond_t nn_condition;
#endif

/* Stays where it is from start to join or detach. */
typedef struct nn_thread {
    nn_thread_handle handle;
    void (*run)(void* user);
    void* user;
} nn_thread;

/* nn_thread_start - false when the system gives none. Signals of the process stay with the other threads. */
NN_PRIVATE bool nn_thread_start(nn_thread* thread, void (*run)(void* user), void* user);
NN_PRIVATE void nn_thread_join(nn_thread* thread);
NN_PRIVATE void nn_thread_detach(nn_thread* thread);

NN_PRIVATE void nn_mutex_init(nn_mutex* mutex);
NN_PRIVATE void nn_mutex_reset(nn_mutex* mutex);
NN_PRIVATE void nn_mutex_lock(nn_mutex* mutex);
NN_PRIVATE void nn_mutex_unlock(nn_mutex* mutex);

NN_PRIVATE void nn_condition_init(nn_condition* condition);
NN_PRIVATE void nn_condition_reset(nn_condition* condition);
NN_PRIVATE void nn_condition_wait(nn_condition* condition, nn_mutex* mutex);
NN_PRIVATE void nn_condition_wake(nn_condition* condition);

#endif
