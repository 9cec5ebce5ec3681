// Birthdays as the service sends them: a date, and the Unix second of its midnight in Korea. Pure functions.
#ifndef SIMULATOR_BIRTHDAY_H
#define SIMULATOR_BIRTHDAY_H

#include <stdint.h>

struct birthday {
    char date[16];    // YYYY-MM-DD
    int64_t midnight; // Unix seconds; negative before 1970
};

// The birthday that belongs to a number: any day from 1930 to 2008.
struct birthday birthday_of(uint64_t number);

#endif
