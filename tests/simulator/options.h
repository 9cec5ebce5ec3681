// The command line. All functions run on the main thread.
#ifndef SIMULATOR_OPTIONS_H
#define SIMULATOR_OPTIONS_H

#include "api.h"

struct options {
    const char *listen; // borrowed from argv
    bool help;
};

// Reads the command line; settings, faults and keep_calls go straight into api. False: error holds a whole
// message.
bool options_read(struct options *options, struct api *api, int argc, char **argv, char *error,
    size_t error_size) __attribute__((warn_unused_result));

void options_print_help(void);

#endif
