/* impcert-simulation: runs seeds, several at a time in processes of their own, and tells which breaks a
 * promise. Main thread. Owns the children. */
#include "common/cores.h"
#include "plan.h"
#include "run.h"

#include <getopt.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { JOBS_MOST = 64 };

/* Every so many seeds are run once more, to see that a seed decides everything. */
enum { TWICE_EVERY = 100 };

static const char usage[] =
    "impcert-simulation [--seeds N] [--first SEED] [--jobs N]   runs N seeds (1000 from 1)\n"
    "impcert-simulation --seed SEED [--trace]                   runs one\n"
    "impcert-simulation --bugs                                  whether each mistake of bugs.c is noticed\n"
    "--bug NAME puts one of these mistakes in.\n";

static const char *const bug_names[BUG_COUNT] = {
    [BUG_NONE] = "none",
    [BUG_ACKNOWLEDGE_FIRST] = "acknowledge_first",
    [BUG_DROP_AS_DONE] = "drop_as_done",
    [BUG_COMMIT_NEWEST] = "commit_newest",
    [BUG_METADATA_NEWEST] = "metadata_newest",
    [BUG_FORWARD_LOST] = "forward_lost",
    [BUG_COMMIT_OVERTAKES] = "commit_overtakes",
    [BUG_TRIES_UNBOUNDED] = "tries_unbounded",
    [BUG_BREAKER_IGNORED] = "breaker_ignored",
    [BUG_WAIT_IGNORED] = "wait_ignored",
    [BUG_STAYS_PAUSED] = "stays_paused",
};

struct options {
    uint64_t first, seeds;
    unsigned jobs;
    enum bug bug;
    bool one, trace, bugs;
};

/* What the children tell, in shared memory. */
struct progress {
    uint64_t seed; /* being run */
    uint64_t runs, turns, delivered, worked_again;
    int64_t longest_ns;
    uint64_t longest_seed;
    bool failed; /* by seed */
    char violation[512];
};

struct shared {
    _Atomic uint64_t next;
    _Atomic bool stop;
    struct progress jobs[JOBS_MOST];
};

static bool parse_number(const char *text, uint64_t *out)
{
    char *end;
    *out = strtoull(text, &end, 10);
    return *text >= '0' && *text <= '9' && *end == '\0';
}

static bool parse_bug(const char *text, enum bug *out)
{
    for (enum bug bug = BUG_NONE; bug < BUG_COUNT; bug++)
        if (strcmp(bug_names[bug], text) == 0) {
            *out = bug;
            return true;
        }
    return false;
}

static bool parse_options(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"seeds", 1, NULL, 'n'}, {"first", 1, NULL, 'f'},
        {"seed", 1, NULL, 's'}, {"jobs", 1, NULL, 'j'}, {"bug", 1, NULL, 'b'}, {"trace", 0, NULL, 't'},
        {"bugs", 0, NULL, 'a'}, {NULL, 0, NULL, 0}};
    uint64_t jobs = cores_usable();
    *options = (struct options){.first = 1, .seeds = 1000};
    int letter;
    bool right = true;
    while (right && (letter = getopt_long(argc, argv, "", known, NULL)) != -1) {
        options->one = options->one || letter == 's';
        options->trace = options->trace || letter == 't';
        options->bugs = options->bugs || letter == 'a';
        if (letter == 'n')
            right = parse_number(optarg, &options->seeds);
        else if (letter == 'f' || letter == 's')
            right = parse_number(optarg, &options->first);
        else if (letter == 'j')
            right = parse_number(optarg, &jobs) && jobs > 0;
        else if (letter == 'b')
            right = parse_bug(optarg, &options->bug);
        else
            right = letter == 't' || letter == 'a';
    }
    options->jobs = jobs < JOBS_MOST ? (unsigned)jobs : JOBS_MOST;
    return right && optind == argc;
}

static void run_twice(uint64_t seed, enum bug bug, struct outcome_of_run *outcome)
{
    struct outcome_of_run again;
    run_seed(seed, bug, false, outcome);
    if (seed % TWICE_EVERY || outcome->violation[0])
        return;
    run_seed(seed, bug, false, &again);
    if (again.digest != outcome->digest)
        snprintf(outcome->violation, sizeof outcome->violation, "a second run of it went another way");
}

static void child_run(struct shared *shared, struct progress *progress, const struct options *options)
{
    struct outcome_of_run outcome;
    uint64_t end = options->first + options->seeds;
    while (!atomic_load(&shared->stop) && (progress->seed = atomic_fetch_add(&shared->next, 1)) < end) {
        run_twice(progress->seed, options->bug, &outcome);
        progress->runs++;
        progress->turns += outcome.turns;
        progress->delivered += outcome.delivered;
        progress->worked_again += outcome.worked_again;
        if (outcome.virtual_ns > progress->longest_ns) {
            progress->longest_ns = outcome.virtual_ns;
            progress->longest_seed = progress->seed;
        }
        if (!outcome.violation[0])
            continue;
        memcpy(progress->violation, outcome.violation, sizeof progress->violation);
        progress->failed = true;
        atomic_store(&shared->stop, true);
    }
}

static void wait_for_children(struct shared *shared, const pid_t *children, unsigned jobs)
{
    for (unsigned i = 0; i < jobs; i++) {
        int status;
        struct progress *progress = &shared->jobs[i];
        if (waitpid(children[i], &status, 0) < 0 || progress->failed ||
            (WIFEXITED(status) && !WEXITSTATUS(status)))
            continue;
        progress->failed = true;
        atomic_store(&shared->stop, true);
        snprintf(progress->violation, sizeof progress->violation, "it died of %s %d",
            WIFSIGNALED(status) ? "signal" : "exit code",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
}

static void sum_up(const struct shared *shared, unsigned jobs, struct progress *sum)
{
    for (unsigned i = 0; i < jobs; i++) {
        const struct progress *one = &shared->jobs[i];
        sum->runs += one->runs;
        sum->turns += one->turns;
        sum->delivered += one->delivered;
        sum->worked_again += one->worked_again;
        if (one->longest_ns > sum->longest_ns) {
            sum->longest_ns = one->longest_ns;
            sum->longest_seed = one->longest_seed;
        }
        if (one->failed && (!sum->failed || one->seed < sum->seed)) {
            sum->failed = true;
            sum->seed = one->seed;
            memcpy(sum->violation, one->violation, sizeof sum->violation);
        }
    }
}

static void tell(const struct progress *sum)
{
    printf("%" PRIu64 " runs, %" PRIu64 " turns, %" PRIu64 " records consumed (%" PRIu64
           " worked again); the longest took %.0f s of its time (seed %" PRIu64 ")\n",
        sum->runs, sum->turns, sum->delivered, sum->worked_again, (double)sum->longest_ns / 1e9,
        sum->longest_seed);
    if (sum->failed)
        printf("seed %" PRIu64 ": %s\n", sum->seed, sum->violation);
}

static bool run_many(const struct options *options, struct progress *sum)
{
    struct shared *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t children[JOBS_MOST];
    *sum = (struct progress){0};
    if (shared == MAP_FAILED)
        return false;
    atomic_store(&shared->next, options->first);
    fflush(stdout);
    for (unsigned i = 0; i < options->jobs; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            child_run(shared, &shared->jobs[i], options);
            _exit(0);
        }
    }
    wait_for_children(shared, children, options->jobs);
    sum_up(shared, options->jobs, sum);
    return munmap(shared, sizeof *shared) == 0;
}

static int run_seeds(const struct options *options)
{
    struct progress sum;
    if (!run_many(options, &sum))
        return 2;
    tell(&sum);
    return sum.failed ? 1 : 0;
}

/* A simulation that notices nothing proves nothing. */
static int run_bugs(struct options options)
{
    int result = 0;
    struct progress sum;
    for (options.bug = BUG_NONE + 1; options.bug < BUG_COUNT; options.bug++) {
        if (!run_many(&options, &sum))
            return 2;
        if (sum.failed)
            printf("%-18s seed %" PRIu64 ": %s\n", bug_names[options.bug], sum.seed, sum.violation);
        else
            printf("%-18s NOT NOTICED in %" PRIu64 " runs\n", bug_names[options.bug], sum.runs);
        result = sum.failed ? result : 1;
    }
    return result;
}

static int run_one(const struct options *options)
{
    struct outcome_of_run outcome;
    run_seed(options->first, options->bug, options->trace, &outcome);
    printf("seed %" PRIu64 ": %s\n%.3f s of its time, %" PRIu64 " turns, digest %016" PRIx64 "\n",
        options->first, outcome.violation[0] ? outcome.violation : "no violation",
        (double)outcome.virtual_ns / 1e9, outcome.turns, outcome.digest);
    return outcome.violation[0] ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct options options;
    if (!parse_options(argc, argv, &options)) {
        fputs(usage, stderr);
        return 2;
    }
    json_object_seed(1);
    plan_open();
    int result = options.one ? run_one(&options) : options.bugs ? run_bugs(options) : run_seeds(&options);
    plan_close();
    return result;
}
