package main

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// job is one event on its way.
type job struct {
	record    *kgo.Record
	partition *partition
	document  *document
	refusals  int  // by MongoDB
	done      bool // under the partition's lock
}

// partition remembers the events of one assigned partition in their order, so that only its finished prefix is committed.
type partition struct {
	mu      sync.Mutex
	jobs    []*job // from the first that is not done
	begun   int    // how many are being worked on
	revoked bool   // nothing new begins
	gone    bool   // nothing is marked any more: another member may own it
	idle    chan struct{}
}

func newPartition() *partition {
	return &partition{idle: make(chan struct{})}
}

func (p *partition) add(record *kgo.Record) *job {
	job := &job{record: record, partition: p}
	p.mu.Lock()
	p.jobs = append(p.jobs, job)
	p.mu.Unlock()
	return job
}

// begin tells whether an event may be worked on. Whoever begins one ends it with finish or giveUp.
func (p *partition) begin() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revoked {
		return false
	}
	p.begun++
	return true
}

func (p *partition) giveUp() {
	p.mu.Lock()
	p.end(1)
	p.mu.Unlock()
}

// finish ends events that are done. Where that makes the finished prefix longer, its last record is marked, under the
// lock, so that no mark comes after abandon.
func (p *partition) finish(jobs []*job, mark func(...*kgo.Record)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, job := range jobs {
		job.done = true
	}
	if last := p.takePrefix(); last != nil && !p.gone {
		mark(last)
	}
	p.end(len(jobs))
}

func (p *partition) takePrefix() *kgo.Record {
	count := 0
	for count < len(p.jobs) && p.jobs[count].done {
		count++
	}
	if count == 0 {
		return nil
	}
	last := p.jobs[count-1].record
	clear(p.jobs[:count])
	p.jobs = p.jobs[count:]
	return last
}

func (p *partition) end(count int) {
	p.begun -= count
	if p.revoked && p.begun == 0 {
		close(p.idle)
	}
}

// revoke lets nothing new begin.
func (p *partition) revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.revoked {
		return
	}
	p.revoked = true
	if p.begun == 0 {
		close(p.idle)
	}
}

// wait waits for what has begun, but no longer than `deadline` lets it.
func (p *partition) wait(deadline <-chan struct{}) {
	select {
	case <-p.idle:
	case <-deadline:
	}
}

func (p *partition) abandon() {
	p.revoke()
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
}
