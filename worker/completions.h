#ifndef IMPCERT_WORKER_COMPLETIONS_H
#define IMPCERT_WORKER_COMPLETIONS_H

#include "worker/offsets.h"

#include <stdbool.h>
#include <stddef.h>

/* The offsets that are finished beyond the position, as the text that a commit carries as its metadata: after
 * a crash the next owner need not work on them again. Pure. Thread: loop.
 *
 * The text is "1r:" or "1b:" and base64 (without padding) of a checksum, 4 bytes, little-endian, and then
 * - r: run lengths as LEB128 varints, from the position on: unfinished, finished, unfinished, ..., finished;
 * - b: a bitmap, bit i % 8 of byte i / 8 for the offset i beyond the position, 1: finished.
 * The checksum is FNV-1a of the position (8 bytes, little-endian), the letter and what follows the checksum.
 * With the position in it a text says nothing of any other: tools that move or translate positions
 * (MirrorMaker does) carry the metadata along as it was. */

/* The longest text that is written or read. Brokers take 4096 bytes by default (offset.metadata.max.bytes).
 */
enum { COMPLETIONS_TEXT_MAX = 4000 };

/* Writes the text, terminated, in at most size bytes (at least 1), and returns its length: 0 where nothing is
 * finished beyond the position. What does not fit is left out from the end, so the text always holds, and
 * with it less may be known. */
size_t completions_encode(const struct offsets *offsets, char *out, size_t size);
/* Marks what a text says as finished, in offsets that have just been given their position. An empty text says
 * nothing. Returns false, with nothing marked, where the text is not what was written for this position, or
 * when out of memory. */
bool completions_decode(const char *text, size_t length, struct offsets *offsets)
    __attribute__((warn_unused_result));

#endif
