/* publish IMP_UID...: asks impcert-worker to verify these certifications. Settings come from the environment,
 * IMPCERT_KAFKA_BROKERS above all. Exits with 0 when every event was acknowledged, 1 if not, 2 for settings.
 *
 *     cc publish.c -o publish $(pkg-config --cflags --libs impcert) */
#include <impcert.h>
#include <stdio.h>

/* Called once for each event that was taken, on a thread of the library, before impcert_close returns. */
static void delivered(void *imp_uid, enum impcert_status status, const char *text)
{
    if (status != IMPCERT_OK)
        fprintf(stderr, "%s: %s\n", (const char *)imp_uid, text);
}

int main(int argc, char **argv)
{
    struct impcert_error error;
    struct impcert *impcert = impcert_open(NULL, &error);
    if (!impcert) {
        fprintf(stderr, "%s\n", error.text);
        return 2;
    }
    int refused = 0;
    for (int i = 1; i < argc; i++) {
        struct impcert_event event = IMPCERT_EVENT(argv[i]);
        enum impcert_status status;
        /* Full: as many are on their way as may be. A server would rather answer "busy" than wait here. */
        while ((status = impcert_publish(impcert, &event, delivered, argv[i], &error)) == IMPCERT_QUEUE_FULL)
            impcert_flush(impcert, 100, NULL);
        if (status != IMPCERT_OK) {
            fprintf(stderr, "%s: %s\n", argv[i], error.text);
            refused++;
        }
    }
    /* Waits until each has come to its end, which takes at most the 30 s of options.timeout_ms. */
    return impcert_close(impcert, -1) == IMPCERT_OK && !refused ? 0 : 1;
}
