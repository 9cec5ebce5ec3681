package main

import (
	"context"
	"errors"
	"log"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
)

const (
	linger       = 5 * time.Millisecond
	batchMax     = 500
	batches      = 4 // under way
	pendingMax   = 4 * batchMax
	writeTimeout = 30 * time.Second

	duplicateKey = 11000
)

type document struct {
	ImpUID string `bson:"_id"`
	Fields fields `bson:",inline"`
}

// fields are what an event that is verified again sets anew; others that a backend has added stay.
type fields struct {
	UniqueKey    string         `bson:"unique_key"`
	UniqueInSite *string        `bson:"unique_in_site"`
	Certified    bool           `bson:"certified"`
	CertifiedAt  *bson.DateTime `bson:"certified_at"`
	VerifiedAt   bson.DateTime  `bson:"verified_at"`
}

func newDocument(impUID, uniqueKey string, uniqueInSite *string, certifiedAt int64) *document {
	d := &document{impUID, fields{uniqueKey, uniqueInSite, true, nil, bson.NewDateTimeFromTime(time.Now())}}
	if certifiedAt > 0 {
		at := bson.DateTime(certifiedAt * 1000)
		d.Fields.CertifiedAt = &at
	}
	return d
}

// store gathers verified jobs into batches and finishes those that MongoDB has acknowledged.
type store struct {
	collection *mongo.Collection
	finish     func(...*job)
	reject     func(*job, *failure)
	slots      chan struct{} // one for each batch under way
	gathered   sync.WaitGroup

	mu      sync.Mutex
	some    *sync.Cond // pending is not empty, or closed
	room    *sync.Cond // pending is not full
	pending []*job
	closed  bool
}

func openStore(ctx context.Context, s *settings) (*store, error) {
	client, err := mongo.Connect(options.Client().ApplyURI(s.mongoURI).SetAppName("impcert-go"))
	if err != nil {
		return nil, err
	}
	if err := client.Ping(ctx, nil); err != nil {
		return nil, err
	}
	majority := options.Collection().SetWriteConcern(writeconcern.Majority())
	opened := &store{
		collection: client.Database(s.mongoDatabase).Collection(s.mongoCollection, majority),
		slots:      make(chan struct{}, batches),
	}
	opened.some, opened.room = sync.NewCond(&opened.mu), sync.NewCond(&opened.mu)
	return opened, nil
}

// start takes what becomes of jobs: `finish` of those that are stored, `reject` of those that MongoDB refuses.
func (s *store) start(finish func(...*job), reject func(*job, *failure)) {
	s.finish, s.reject = finish, reject
	s.gathered.Go(s.gather)
}

// add takes a verified job. It waits while MongoDB is too far behind.
func (s *store) add(job *job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) >= pendingMax {
		s.room.Wait()
	}
	s.pending = append(s.pending, job)
	if len(s.pending) == 1 {
		s.some.Signal()
	}
}

// close returns once everything that was added is written.
func (s *store) close() {
	s.mu.Lock()
	s.closed = true
	s.some.Signal()
	s.mu.Unlock()
	s.gathered.Wait()
}

// gather hands over batches. Each fills for the linger, and then until one of those under way is written.
func (s *store) gather() {
	var writing sync.WaitGroup
	defer writing.Wait()
	for s.await() {
		s.slots <- struct{}{}
		batch := s.take()
		writing.Go(func() {
			s.write(batch)
			<-s.slots
		})
	}
}

// await waits for jobs, and for the linger unless there is a full batch already. False at the end.
func (s *store) await() bool {
	s.mu.Lock()
	for len(s.pending) == 0 && !s.closed {
		s.some.Wait()
	}
	count, closed := len(s.pending), s.closed
	s.mu.Unlock()
	if count < batchMax && !closed {
		time.Sleep(linger)
	}
	return count > 0
}

func (s *store) take() []*job {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := s.pending
	s.pending = make([]*job, 0, batchMax)
	if len(batch) > batchMax {
		s.pending = append(s.pending, batch[batchMax:]...)
		batch = batch[:batchMax]
	}
	s.room.Broadcast()
	return batch
}

// write goes on until each job of the batch is stored or refused. To write one again is harmless.
func (s *store) write(batch []*job) {
	for failures := 1; ; failures++ {
		batch = s.upsert(s.insert(batch))
		if len(batch) == 0 {
			return
		}
		time.Sleep(pause(failures))
	}
}

// insert returns the jobs that are there already, and those that have to be written again.
func (s *store) insert(batch []*job) (duplicates, again []*job) {
	documents := make([]any, len(batch))
	for i, job := range batch {
		documents[i] = job.document
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	_, err := s.collection.InsertMany(ctx, documents, options.InsertMany().SetOrdered(false))
	return s.settle(batch, err)
}

// upsert returns the jobs that have to be written again, those of `again` among them.
func (s *store) upsert(duplicates, again []*job) []*job {
	if len(duplicates) == 0 {
		return again
	}
	models := make([]mongo.WriteModel, len(duplicates))
	for i, job := range duplicates {
		models[i] = mongo.NewUpdateOneModel().
			SetFilter(bson.D{{Key: "_id", Value: job.document.ImpUID}}).
			SetUpdate(bson.D{{Key: "$set", Value: &job.document.Fields}}).
			SetUpsert(true)
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	_, err := s.collection.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
	raced, failed := s.settle(duplicates, err) // another upsert of that _id was faster
	return append(append(again, raced...), failed...)
}

// settle finishes what is stored, and rejects what is refused again and again.
func (s *store) settle(batch []*job, err error) (duplicates, again []*job) {
	if err == nil {
		s.finish(batch...)
		return nil, nil
	}
	var bulk mongo.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil || len(bulk.WriteErrors) == 0 {
		log.Printf("storing: %v", err)
		return nil, batch
	}
	codes := make(map[int]int, len(bulk.WriteErrors))
	for _, refusal := range bulk.WriteErrors {
		codes[refusal.Index] = refusal.Code
	}
	stored := make([]*job, 0, len(batch))
	for i, job := range batch {
		code, refused := codes[i]
		switch {
		case !refused:
			stored = append(stored, job)
		case code == duplicateKey:
			duplicates = append(duplicates, job)
		case job.refusedTooOften():
			s.reject(job, final("store_rejected", "MongoDB: code %d", code))
		default:
			again = append(again, job)
		}
	}
	s.finish(stored...)
	return duplicates, again
}

func (j *job) refusedTooOften() bool {
	j.refusals++
	return j.refusals >= attempts
}
