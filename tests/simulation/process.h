#ifndef IMPCERT_SIMULATION_PROCESS_H
#define IMPCERT_SIMULATION_PROCESS_H

#include "oracle.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A worker process with one worker, from its start to its end, and again: the real flow, driven as
 * worker/worker.c drives it. Thread: main. */
struct process;

struct process *process_new(struct world *world, size_t number);
/* Whatever it is doing ends. */
void process_free(struct process *process);

/* Where it does not run. */
void process_start(struct process *process);
/* SIGTERM. */
void process_stop(struct process *process);
/* kill -9. */
void process_crash(struct process *process);
/* Its session at the group ends, while it goes on. */
void process_expel(struct process *process);
bool process_runs(const struct process *process);

int64_t process_due_ns(const struct process *process);
void process_turn(struct process *process);

size_t process_number(const struct process *process);
struct caller *process_caller(struct process *process);
/* Its worker ended a record of a partition that it holds. */
void process_ended(struct process *process, const char *topic, int32_t id, int64_t offset);
/* A client was made in it. */
void process_set_client(struct process *process, struct rd_kafka_s *client);

#endif
