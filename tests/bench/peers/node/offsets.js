// What may be committed: of each partition, the offset behind the longest row of finished events from the first on.

export class Offsets {
  #partitions = new Map();

  /** A new assignment: everything not committed will be delivered again. */
  reset() {
    this.#partitions.clear();
  }

  of(number) {
    let partition = this.#partitions.get(number);
    if (!partition) this.#partitions.set(number, (partition = new Partition(number)));
    return partition;
  }

  has(partition) {
    return this.#partitions.get(partition.number) === partition;
  }

  uncommitted() {
    return [...this.#partitions.values()].filter(({ position, committed }) => position > committed);
  }
}

class Partition {
  number;
  position = -1; // the offset that may be committed
  committed = -1; // the last one that was
  #last = -1; // the highest offset that was begun
  #row = []; // {offset, done} in order, finished ones at the front dropped
  #head = 0;

  constructor(number) {
    this.number = number;
  }

  /** null when this offset was begun before: kafkajs fetches a batch again after an error. */
  begin(offset) {
    if (offset <= this.#last) return null;
    this.#last = offset;
    const event = { offset, done: false };
    this.#row.push(event);
    return event;
  }

  done(event) {
    event.done = true;
    while (this.#head < this.#row.length && this.#row[this.#head].done) {
      this.position = this.#row[this.#head++].offset + 1;
    }
    if (this.#head > 1024 && this.#head * 2 > this.#row.length) {
      this.#row.splice(0, this.#head);
      this.#head = 0;
    }
  }
}
