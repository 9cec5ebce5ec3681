// impcert-simulator: reads the command line, opens the server, says where it listens, serves until SIGTERM or
// SIGINT. One thread does everything; main owns the service's state and the server.
#include <stdio.h>

#include "control.h"
#include "options.h"

struct simulator {
    struct api api;
    struct server *server;
};

static void answer(void *context, const struct http_request *request, struct reply *reply)
{
    struct simulator *simulator = context;
    if (http_starts(request->path, CONTROL_PREFIX))
        control_answer(&simulator->api, simulator->server, request, reply);
    else
        api_answer(&simulator->api, request, reply);
}

// Returns the exit code.
static int serve(struct simulator *simulator, const char *listen)
{
    char error[512], url[256];
    simulator->server = server_open(listen, answer, simulator, error, sizeof error);
    if (simulator->server == NULL) {
        fprintf(stderr, "impcert-simulator: --listen: %s\n", error);
        return 2;
    }
    server_url(simulator->server, url, sizeof url);
    printf("listening on %s\n", url);
    fflush(stdout);
    bool ended = server_run(simulator->server);
    if (!ended)
        perror("impcert-simulator: event loop");
    server_close(simulator->server);
    return ended ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct simulator simulator = {0};
    struct options options;
    char error[512];
    int code = 0;
    api_init(&simulator.api);
    if (!options_read(&options, &simulator.api, argc, argv, error, sizeof error)) {
        fprintf(stderr, "impcert-simulator: %s\n", error);
        code = 2;
    } else if (options.help) {
        options_print_help();
    } else {
        code = serve(&simulator, options.listen);
    }
    api_cleanup(&simulator.api);
    return code;
}
