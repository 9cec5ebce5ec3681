/* threads THREADS [EVENTS]: publishes from so many threads to one handle, EVENTS each or, without EVENTS, at
 * an easy pace until standard input ends. Settings come from the environment. Then prints a line for each
 * event that was taken: its imp_uid, how often its delivery was called, and the last status. Exits with
 * impcert_close's. */
#include <impcert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define PACE_US 5000
#define PACE_EVENTS 10

struct event {
    struct event *next;
    char imp_uid[32];
    char value[96];
    _Atomic unsigned calls;
    enum impcert_status status;
};

struct thread {
    struct impcert *impcert;
    pthread_t id;
    int number;
    long most; /* -1: until stopped */
    struct event *taken;
    struct impcert_error error;
};

static _Atomic int stopped;

static void on_end(void *context, enum impcert_status status, const char *text)
{
    struct event *event = context;
    (void)text;
    event->status = status;
    atomic_fetch_add(&event->calls, 1);
}

static struct event *event_new(int thread, long number)
{
    struct event *event = calloc(1, sizeof *event);
    if (!event)
        abort();
    snprintf(event->imp_uid, sizeof event->imp_uid, "imp_%d_%ld", thread, number);
    snprintf(event->value, sizeof event->value, "{\"imp_uid\": \"%s\", \"n\": %ld}", event->imp_uid, number);
    return event;
}

static enum impcert_status publish(struct thread *thread, struct event *event)
{
    struct impcert_event given = IMPCERT_EVENT(event->imp_uid);
    const struct impcert_header headers[] = {{"shop", "a", 1}, {"empty", "", 0}, {"null", NULL, 0}};
    enum impcert_status status;
    given.value = event->value;
    for (given.value_size = 0; event->value[given.value_size];)
        given.value_size++;
    given.traceparent = TRACE;
    given.headers = headers;
    given.header_count = sizeof headers / sizeof *headers;
    while ((status = impcert_publish(thread->impcert, &given, on_end, event, &thread->error)) ==
           IMPCERT_QUEUE_FULL)
        impcert_flush(thread->impcert, 100, NULL);
    return status;
}

static void *run(void *context)
{
    struct thread *thread = context;
    for (long number = 0; thread->most < 0 ? !atomic_load(&stopped) : number < thread->most; number++) {
        struct event *event = event_new(thread->number, number);
        if (publish(thread, event) != IMPCERT_OK) {
            fprintf(stderr, "%s: %s\n", event->imp_uid, thread->error.text);
            exit(100);
        }
        event->next = thread->taken;
        thread->taken = event;
        if (thread->most < 0 && number % PACE_EVENTS == 0)
            usleep(PACE_US);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct impcert_error error;
    struct impcert *impcert = impcert_open(NULL, &error);
    int count = (int)strtol(argv[1], NULL, 10);
    struct thread *threads = calloc((size_t)count, sizeof *threads);
    char byte;
    if (!impcert || !threads) {
        fprintf(stderr, "%s\n", error.text);
        return 101;
    }
    for (int i = 0; i < count; i++) {
        threads[i] = (struct thread){
            .impcert = impcert, .number = i, .most = argc > 2 ? strtol(argv[2], NULL, 10) : -1};
        pthread_create(&threads[i].id, NULL, run, &threads[i]);
    }
    while (argc <= 2 && read(STDIN_FILENO, &byte, 1) > 0)
        ;
    atomic_store(&stopped, 1);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i].id, NULL);
    enum impcert_status closed = impcert_close(impcert, -1);
    for (int i = 0; i < count; i++)
        for (struct event *event = threads[i].taken, *next; event; event = next) {
            next = event->next;
            printf("%s %u %d\n", event->imp_uid, event->calls, (int)event->status);
            free(event);
        }
    free(threads);
    return (int)closed;
}
