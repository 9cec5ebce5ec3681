package main

import (
	"context"
	"errors"
	"log"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	commitInterval = time.Second
	commitTimeout  = 10 * time.Second
	// Less than the rebalance timeout of a minute, so that a slow event never costs the membership.
	revokeTimeout = 30 * time.Second
	// Events are some 50 bytes, and decoded ones ten times that: smaller fetches than the default keep memory small.
	fetchBytes          = 2 << 20
	fetchPartitionBytes = 256 << 10
)

// consumer polls events into `work` and looks after the partitions that this member owns.
type consumer struct {
	client   *kgo.Client
	work     chan *job
	pollSize int
	closing  atomic.Bool

	mu         sync.Mutex
	partitions map[int32]*partition
}

func newConsumer(s *settings) (*consumer, error) {
	c := &consumer{work: make(chan *job, s.inFlight), pollSize: s.inFlight, partitions: map[int32]*partition{}}
	client, err := kgo.NewClient(
		kgo.SeedBrokers(s.brokers...),
		kgo.ClientID("impcert-go"),
		kgo.WithLogger(kgo.BasicLogger(os.Stderr, kgo.LogLevelError, nil)),
		kgo.ConsumeTopics(s.topic),
		kgo.ConsumerGroup(s.group),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(fetchPartitionBytes),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(commitInterval),
		// Polled records are with their partition before it can be taken away.
		kgo.BlockRebalanceOnPoll(),
		kgo.OnPartitionsAssigned(c.assigned),
		kgo.OnPartitionsRevoked(c.revoked),
		kgo.OnPartitionsLost(c.lost),
		kgo.RequiredAcks(kgo.AllISRAcks()),
	)
	c.client = client
	return c, err
}

// poll queues events until the context ends, then closes the queue.
func (c *consumer) poll(ctx context.Context) {
	defer close(c.work)
	for ctx.Err() == nil {
		fetches := c.client.PollRecords(ctx, c.pollSize)
		jobs := c.register(fetches)
		c.client.AllowRebalance()
		fetches.EachError(logFetchError)
		if !c.queue(ctx, jobs) {
			return
		}
	}
}

func logFetchError(topic string, partition int32, err error) {
	if !errors.Is(err, context.Canceled) {
		log.Printf("fetch %s/%d: %v", topic, partition, err)
	}
}

func (c *consumer) register(fetches kgo.Fetches) []*job {
	jobs := make([]*job, 0, fetches.NumRecords())
	c.mu.Lock()
	defer c.mu.Unlock()
	fetches.EachPartition(func(fetched kgo.FetchTopicPartition) {
		owned := c.partitions[fetched.Partition]
		if owned == nil {
			return
		}
		for _, record := range fetched.Records {
			jobs = append(jobs, owned.add(record))
		}
	})
	return jobs
}

func (c *consumer) queue(ctx context.Context, jobs []*job) bool {
	for _, job := range jobs {
		select {
		case c.work <- job:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// finish ends events whose documents or dead letters are acknowledged.
func (c *consumer) finish(jobs ...*job) {
	if len(jobs) == 1 {
		jobs[0].partition.finish(jobs, c.client.MarkCommitRecords)
		return
	}
	byPartition := map[*partition][]*job{}
	for _, job := range jobs {
		byPartition[job.partition] = append(byPartition[job.partition], job)
	}
	for partition, jobs := range byPartition {
		partition.finish(jobs, c.client.MarkCommitRecords)
	}
}

func (c *consumer) assigned(_ context.Context, _ *kgo.Client, assigned map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, numbers := range assigned {
		for _, number := range numbers {
			c.partitions[number] = newPartition()
		}
	}
}

// revoked finishes what has begun of the partitions and commits it before they are given up.
func (c *consumer) revoked(ctx context.Context, client *kgo.Client, revoked map[string][]int32) {
	leaving := c.take(revoked)
	if len(leaving) == 0 {
		return
	}
	for _, partition := range leaving {
		partition.revoke()
	}
	if !c.closing.Load() {
		waitForAll(leaving)
	}
	for _, partition := range leaving {
		partition.abandon()
	}
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	if err := client.CommitMarkedOffsets(ctx); err != nil {
		log.Printf("commit of revoked partitions: %v", err)
	}
}

func waitForAll(partitions []*partition) {
	deadline, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	for _, partition := range partitions {
		partition.wait(deadline.Done())
	}
}

// lost: nothing can be committed any more, so nothing is waited for.
func (c *consumer) lost(_ context.Context, _ *kgo.Client, lost map[string][]int32) {
	for _, partition := range c.take(lost) {
		partition.abandon()
	}
}

func (c *consumer) take(taken map[string][]int32) []*partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	var partitions []*partition
	for _, numbers := range taken {
		for _, number := range numbers {
			if partition := c.partitions[number]; partition != nil {
				partitions = append(partitions, partition)
				delete(c.partitions, number)
			}
		}
	}
	return partitions
}

// close commits what is finished and leaves the group.
func (c *consumer) close() error {
	c.closing.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), commitTimeout)
	defer cancel()
	err := c.client.CommitMarkedOffsets(ctx)
	c.client.CloseAllowingRebalance()
	return err
}
