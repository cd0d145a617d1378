/* nn_thread_win32 - threads of Windows. */
#include "nn_thread.h"

#if defined(_WIN32)

static DWORD WINAPI thread_begin(void* user)
{
    nn_thread* thread = (nn_thread*)user;
    void (*run)(void*) = thread->run;
    run(thread->user);
    return 0;
}

NN_PRIVATE bool nn_thread_start(nn_thread* thread, void (*run)(void* user), void* user)
{
    thread->run = run;
    thread->user = user;
    thread->handle = CreateThread(NULL, 0, thread_begin, thread, 0, NULL);
    return thread->handle != NULL;
}

NN_PRIVATE void nn_thread_join(nn_thread* thread)
{
    WaitForSingleObject(thread->handle, INFINITE);
    CloseHandle(thread->handle);
}

NN_PRIVATE void nn_thread_detach(nn_thread* thread)
{
    CloseHandle(thread->handle);
}

NN_PRIVATE void nn_mutex_init(nn_mutex* mutex)
{
    InitializeSRWLock(mutex);
}

NN_PRIVATE void nn_mutex_reset(nn_mutex* mutex)
{
    (void)mutex; /* holds nothing */
}

NN_PRIVATE void nn_mutex_lock(nn_mutex* mutex)
{
    AcquireSRWLockExclusive(mutex);
}

NN_PRIVATE void nn_mutex_unlock(nn_mutex* mutex)
{
    ReleaseSRWLockExclusive(mutex);
}

NN_PRIVATE void nn_condition_init(nn_condition* condition)
{
    InitializeConditionVariable(condition);
}

NN_PRIVATE void nn_condition_reset(nn_condition* condition)
{
    (void)condition; /* holds nothing */
}

NN_PRIVATE void nn_condition_wait(nn_condition* condition, nn_mutex* mutex)
{
    SleepConditionVariableSRW(condition, mutex, INFINITE, 0);
}

NN_PRIVATE void nn_condition_wake(nn_condition* condition)
{
    WakeConditionVariable(condition);
}

#endif
