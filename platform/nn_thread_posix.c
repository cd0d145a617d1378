/* nn_thread_posix - threads of POSIX. */
#include "nn_thread.h"

#if !defined(_WIN32)

#include <signal.h>

static void* thread_begin(void* user)
{
    nn_thread* thread = (nn_thread*)user;
    void (*run)(void*) = thread->run;
    run(thread->user);
    return NULL;
}

NN_PRIVATE bool nn_thread_start(nn_thread* thread, void (*run)(void* user), void* user)
{
    thread->run = run;
    thread->user = user;
    sigset_t all, old;
    sigfillset(&all);
    bool masked = pthread_sigmask(SIG_SETMASK, &all, &old) == 0;
    bool started = pthread_create(&thread->handle, NULL, thread_begin, thread) == 0;
    if (masked) pthread_sigmask(SIG_SETMASK, &old, NULL);
    return started;
}

NN_PRIVATE void nn_thread_join(nn_thread* thread)
{
    pthread_join(thread->handle, NULL);
}

NN_PRIVATE void nn_thread_detach(nn_thread* thread)
{
    pthread_detach(thread->handle);
}

NN_PRIVATE void nn_mutex_init(nn_mutex* mutex)
{
    pthread_mutex_init(mutex, NULL);
}

NN_PRIVATE void nn_mutex_reset(nn_mutex* mutex)
{
    pthread_mutex_destroy(mutex);
}

NN_PRIVATE void nn_mutex_lock(nn_mutex* mutex)
{
    pthread_mutex_lock(mutex);
}

NN_PRIVATE void nn_mutex_unlock(nn_mutex* mutex)
{
    pthread_mutex_unlock(mutex);
}

NN_PRIVATE void nn_condition_init(nn_condition* condition)
{
    pthread_cond_init(condition, NULL);
}

NN_PRIVATE void nn_condition_reset(nn_condition* condition)
{
    pthread_cond_destroy(condition);
}

NN_PRIVATE void nn_condition_wait(nn_condition* condition, nn_mutex* mutex)
{
    pthread_cond_wait(condition, mutex);
}

NN_PRIVATE void nn_condition_wake(nn_condition* condition)
{
    pthread_cond_signal(condition);
}

#endif
