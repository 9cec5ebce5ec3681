// Korean civil dates. Korea's clocks were not always nine hours ahead of UTC; the table holds every spell
// since 1930 in which they were not, so that records do not depend on the machine's time zone data. Runs on
// the main thread.
#include "birthday.h"

#include <stddef.h>
#include <stdio.h>

struct spell {
    int from, until; // YYYYMMDD; first midnight with this offset, first midnight without it
    int minutes;     // ahead of UTC
};

static const struct spell spells[] = {
    {19480602, 19480913, 600},
    {19490404, 19490911, 600},
    {19500402, 19500910, 600},
    {19510507, 19510909, 600},
    {19540321, 19550506, 510},
    {19550506, 19550909, 570},
    {19550909, 19560521, 510},
    {19560521, 19560930, 570},
    {19560930, 19570506, 510},
    {19570506, 19570922, 570},
    {19570922, 19580505, 510},
    {19580505, 19580921, 570},
    {19580921, 19590504, 510},
    {19590504, 19590920, 570},
    {19590920, 19600502, 510},
    {19600502, 19600918, 570},
    {19600918, 19610811, 510},
    {19870511, 19871012, 600},
    {19880509, 19881010, 600},
};

static int minutes_ahead(int date)
{
    for (size_t i = 0; i < sizeof spells / sizeof *spells; i++) {
        if (date >= spells[i].from && date < spells[i].until)
            return spells[i].minutes;
    }
    return 540;
}

struct birthday birthday_of(uint64_t number)
{
    const int64_t first = -14610, last = 14244; // 1930-01-01 and 2008-12-31, in days since 1970
    int64_t day = first + (int64_t)(number % (uint64_t)(last - first + 1));

    // Days to civil date, counted from 1 March 1600, which starts a 400-year cycle.
    int64_t rest = day + 135080;
    int64_t of_era = rest % 146097;
    int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * of_year + 2) / 153;
    int date_day = (int)(of_year - (153 * month_from_march + 2) / 5 + 1);
    int month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    int year = (int)(1600 + year_of_era + rest / 146097 * 400 + (month <= 2));

    struct birthday birthday;
    snprintf(
        birthday.date, sizeof birthday.date, "%04d-%02d-%02d", year % 10000, month % 100, date_day % 100);
    birthday.midnight = day * 86400 - minutes_ahead(year * 10000 + month * 100 + date_day) * 60;
    return birthday;
}
