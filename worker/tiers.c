/* The retry tiers, from the settings. Any thread; owns nothing. */
#include "worker/tiers.h"

#include <stdio.h>
#include <string.h>

void tiers_init(struct tiers *tiers, const struct settings *settings)
{
    char delay[SETTING_DURATION_SIZE];
    const char *topic = settings_text(settings, SETTING_TOPIC);
    *tiers = (struct tiers){0};
    while (tiers->count < TIERS_MOST && settings_duration_at(settings, SETTING_RETRY_DELAYS, tiers->count,
                                            delay, &tiers->list[tiers->count].delay_ms)) {
        snprintf(tiers->list[tiers->count].topic, TIER_TOPIC_SIZE, "%s.retry.%s", topic, delay);
        tiers->count++;
    }
}

int tiers_find(const struct tiers *tiers, const char *topic)
{
    for (size_t i = 0; i < tiers->count; i++)
        if (strcmp(tiers->list[i].topic, topic) == 0)
            return (int)i;
    return TIER_MAIN;
}

int tiers_next(const struct tiers *tiers, int tier)
{
    return (size_t)(tier + 1) < tiers->count ? tier + 1 : TIER_NONE;
}
