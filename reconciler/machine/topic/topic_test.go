// What a topic gives, held against a cluster in this process: the same range, the same records,
// whatever happens to the cluster meanwhile.

package topic

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const name = "events"

// cluster is one in this process, with a topic.
func cluster(t *testing.T, partitions int32, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(2), kfake.SeedTopics(partitions, name)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func client(t *testing.T, c *kfake.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(name)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// produce sends values to a partition, each in its own batch where each is true.
func produce(t *testing.T, cl *kgo.Client, partition int32, values ...string) {
	t.Helper()
	var all []*kgo.Record
	for _, v := range values {
		all = append(all, &kgo.Record{Partition: partition, Key: []byte("k" + v), Value: []byte(v)})
	}
	if err := cl.ProduceSync(t.Context(), all...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, c *kfake.Cluster, change ...func(*Options)) *Topic {
	t.Helper()
	o := Options{Brokers: c.ListenAddrs(), Topic: name, Allow: []string{"127.0.0.0/8"}, Patience: 5 * time.Second}
	for _, f := range change {
		f(&o)
	}
	topic, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(topic.Close)
	return topic
}

// all reads what a look saw.
func all(t *testing.T, topic *Topic, s State, compacted bool) (out []string, err error) {
	t.Helper()
	for _, span := range s.Spans {
		if err := topic.Read(t.Context(), Reading{ID: s.ID, Span: span, Compacted: compacted}, func(r Record) error {
			out = append(out, fmt.Sprintf("%d/%d %s", r.Partition, r.Offset, r.Value))
			return nil
		}); err != nil {
			return out, err
		}
	}
	return out, nil
}

func look(t *testing.T, topic *Topic, w Window) State {
	t.Helper()
	s, err := topic.Look(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func wantAll(t *testing.T, topic *Topic, s State, want ...string) {
	t.Helper()
	got, err := all(t, topic, s, false)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("read %q, want %q: %v", got, want, err)
	}
}

// TestARangeStaysWhatItIs: however the topic grows, and however its records are compressed.
func TestARangeStaysWhatItIs(t *testing.T) {
	for codec, of := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
		t.Run(codec, func(t *testing.T) {
			c := cluster(t, 3)
			cl := client(t, c, kgo.ProducerBatchCompression(of))
			long := strings.Repeat("long ", 100)
			produce(t, cl, 0, "a", long, "c")
			produce(t, cl, 2, "d")
			topic := open(t, c)
			seen := look(t, topic, Window{})
			if want := []Span{{0, 0, 3}, {1, 0, 0}, {2, 0, 1}}; !slices.Equal(seen.Spans, want) || seen.ID == "" || seen.Newest.IsZero() {
				t.Fatalf("saw %+v", seen)
			}
			produce(t, cl, 0, "e")
			produce(t, cl, 1, "f")
			wantAll(t, topic, seen, "0/0 a", "0/1 "+long, "0/2 c", "2/0 d")
			wantAll(t, topic, State{seen.ID, []Span{{0, 1, 2}}, time.Time{}}, "0/1 "+long) // within a batch
		})
	}
}

func TestAWindowIsOfTheRecordsTimes(t *testing.T) {
	c := cluster(t, 2)
	cl := client(t, c)
	day := func(n int) time.Time { return time.Date(2026, 11, n, 0, 0, 0, 0, time.UTC) }
	for n := 1; n <= 4; n++ {
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: fmt.Append(nil, n), Timestamp: day(n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	topic := open(t, c)
	for name, w := range map[string]struct {
		Window
		want []Span
	}{
		"all":           {Window{}, []Span{{0, 0, 4}, {1, 0, 0}}},
		"from":          {Window{From: day(2)}, []Span{{0, 1, 4}, {1, 0, 0}}},
		"until":         {Window{Until: day(3)}, []Span{{0, 0, 2}, {1, 0, 0}}},
		"both":          {Window{From: day(2), Until: day(3)}, []Span{{0, 1, 2}, {1, 0, 0}}},
		"the same":      {Window{From: day(2), Until: day(2)}, []Span{{0, 1, 1}, {1, 0, 0}}},
		"turned around": {Window{From: day(4), Until: day(2)}, []Span{{0, 1, 1}, {1, 0, 0}}},
		"later":         {Window{From: day(9)}, []Span{{0, 4, 4}, {1, 0, 0}}},
		"one of them":   {Window{Partitions: []int32{1, 1}}, []Span{{1, 0, 0}}},
	} {
		if s := look(t, topic, w.Window); !slices.Equal(s.Spans, w.want) {
			t.Errorf("%s: saw %+v, want %+v", name, s.Spans, w.want)
		}
	}
	if _, err := topic.Look(t.Context(), Window{Partitions: []int32{7}}); fault.Of(err) != fault.Missing {
		t.Errorf("a partition that is not there: %v", err)
	}
}

// TestOnlyWhatIsCommittedIsRead: not what a transaction gave up, not what marks its end, and
// nothing from where one is open on.
func TestOnlyWhatIsCommittedIsRead(t *testing.T) {
	c := cluster(t, 1)
	tx := client(t, c, kgo.TransactionalID("t"))
	transact := func(commit kgo.TransactionEndTry, values ...string) {
		if err := tx.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		produce(t, tx, 0, values...)
		if err := tx.EndTransaction(t.Context(), commit); err != nil {
			t.Fatal(err)
		}
	}
	transact(kgo.TryCommit, "a")
	transact(kgo.TryAbort, "lost", "lost too")
	transact(kgo.TryCommit, "b")
	transact(kgo.TryAbort, "lost again")
	produce(t, client(t, c), 0, "plain")
	if err := tx.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, tx, 0, "open")
	topic := open(t, c)
	seen := look(t, topic, Window{})
	wantAll(t, topic, seen, "0/0 a", "0/5 b", "0/9 plain")
	if err := tx.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	wantAll(t, topic, seen, "0/0 a", "0/5 b", "0/9 plain")
	wantAll(t, topic, State{seen.ID, []Span{{0, 3, 6}}, time.Time{}}, "0/5 b") // begins within a transaction
	if now := look(t, topic, Window{}); now.Spans[0].To <= seen.Spans[0].To {
		t.Errorf("the end stays at %d", now.Spans[0].To)
	}
}

// TestWhatIsGoneIsSaid: retention, and another topic under the same name.
func TestWhatIsGoneIsSaid(t *testing.T) {
	c := cluster(t, 1)
	cl := client(t, c)
	produce(t, cl, 0, "a")
	produce(t, cl, 0, "b")
	produce(t, cl, 0, "c")
	topic := open(t, c)
	seen := look(t, topic, Window{})

	remove := kmsg.NewPtrDeleteRecordsRequest()
	of := kmsg.NewDeleteRecordsRequestTopic()
	of.Topic = name
	p := kmsg.NewDeleteRecordsRequestTopicPartition()
	p.Offset = 2
	of.Partitions = append(of.Partitions, p)
	remove.Topics = append(remove.Topics, of)
	if _, err := remove.RequestWith(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	if got, err := all(t, topic, seen, false); fault.Of(err) != fault.Missing || !strings.Contains(err.Error(), "begins at offset 2") || !strings.Contains(err.Error(), "1 of them are left") {
		t.Errorf("read %q: %v", got, err)
	}
	wantAll(t, topic, look(t, topic, Window{}), "0/2 c")

	drop := kmsg.NewPtrDeleteTopicsRequest()
	drop.TopicNames = []string{name}
	dropped := kmsg.NewDeleteTopicsRequestTopic()
	dropped.Topic = kmsg.StringPtr(name)
	drop.Topics = append(drop.Topics, dropped)
	if _, err := drop.RequestWith(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	if _, err := topic.Look(t.Context(), Window{}); fault.Of(err) != fault.Missing {
		t.Errorf("a topic that is gone: %v", err)
	}
	if _, err := all(t, topic, seen, false); fault.Of(err) != fault.Missing {
		t.Errorf("a topic that is gone: %v", err)
	}
	create := kmsg.NewPtrCreateTopicsRequest()
	created := kmsg.NewCreateTopicsRequestTopic()
	created.Topic, created.NumPartitions, created.ReplicationFactor = name, 1, 1
	create.Topics = append(create.Topics, created)
	if _, err := create.RequestWith(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	produce(t, client(t, c), 0, "x", "y", "z")
	if _, err := all(t, topic, seen, false); fault.Of(err) != fault.Conflict {
		t.Errorf("another topic of the name: %v", err)
	}
	if now := look(t, topic, Window{}); now.ID == seen.ID {
		t.Error("the new topic has the id of the old one")
	}
}

// hole has the cluster answer as one does whose cleaner removed an offset of a partition.
func hole(c *kfake.Cluster, first, last int64, records ...int64) {
	c.ControlKey(int16(kmsg.Fetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		q := req.(*kmsg.FetchRequest)
		res := q.ResponseKind().(*kmsg.FetchResponse)
		of := kmsg.NewFetchResponseTopic()
		of.Topic, of.TopicID = q.Topics[0].Topic, q.Topics[0].TopicID
		p := kmsg.NewFetchResponseTopicPartition()
		p.HighWatermark, p.LastStableOffset = last+1, last+1
		p.RecordBatches = batchOf(first, last, records...)
		of.Partitions = append(of.Partitions, p)
		res.Topics = append(res.Topics, of)
		return res, nil, true
	})
}

func TestHolesOfCompactionAreSaid(t *testing.T) {
	for name, c := range map[string]struct {
		records []int64
		missed  string
		want    []string
	}{
		"in the middle":    {[]int64{0, 1, 4}, "3 of the 5", []string{"0/0 v0", "0/1 v1", "0/4 v4"}},
		"at the beginning": {[]int64{2, 3, 4}, "3 of the 5", []string{"0/2 v2", "0/3 v3", "0/4 v4"}},
		"at the end":       {[]int64{0}, "1 of the 5", []string{"0/0 v0"}},
		"all":              {nil, "0 of the 5", nil},
		"nothing":          {[]int64{0, 1, 2, 3, 4}, "", []string{"0/0 v0", "0/1 v1", "0/2 v2", "0/3 v3", "0/4 v4"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := cluster(t, 1)
			topic := open(t, k)
			id := look(t, topic, Window{}).ID
			hole(k, 0, 4, c.records...)
			s := State{id, []Span{{0, 0, 5}}, time.Time{}}
			got, err := all(t, topic, s, false)
			if c.missed == "" && err != nil || c.missed != "" && (fault.Of(err) != fault.Missing || !strings.Contains(err.Error(), c.missed)) {
				t.Errorf("read %q: %v", got, err)
			}
			if got, err := all(t, topic, s, true); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("what is left is %q, want %q: %v", got, c.want, err)
			}
		})
	}
}

// TestABrokerThatGoesInTheMiddle is waited for, and given up at last.
func TestABrokerThatGoesInTheMiddle(t *testing.T) {
	c := cluster(t, 1)
	produce(t, client(t, c), 0, "a", "b")
	topic := open(t, c, func(o *Options) { o.Patience = 300 * time.Millisecond })
	seen := look(t, topic, Window{})
	times := 0
	c.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		if times++; times > 2 {
			return nil, nil, false
		}
		c.KeepControl()
		return nil, errors.New("the connection breaks"), true
	})
	wantAll(t, topic, seen, "0/0 a", "0/1 b")
	c.Close()
	if _, err := all(t, topic, seen, false); fault.Of(err) != fault.Transient {
		t.Errorf("a cluster that is gone: %v", err)
	}
}

func TestALeaderThatMovesIsFollowed(t *testing.T) {
	c := cluster(t, 1)
	produce(t, client(t, c), 0, "a", "b")
	topic := open(t, c)
	seen := look(t, topic, Window{})
	other := 1 - c.LeaderFor(name, 0)
	if err := c.MoveTopicPartition(name, 0, other); err != nil {
		t.Fatal(err)
	}
	wantAll(t, topic, seen, "0/0 a", "0/1 b")
}

// TestOnlyWhoMayIsReached: no private address that nobody allowed, be it declared or a broker's word.
func TestOnlyWhoMayIsReached(t *testing.T) {
	c := cluster(t, 1)
	topic := open(t, c, func(o *Options) { o.Allow = nil })
	if _, err := topic.Look(t.Context(), Window{}); fault.Of(err) != fault.Denied {
		t.Errorf("a private address: %v of kind %v", err, fault.Of(err))
	}
	// A cluster that says that its brokers are elsewhere.
	c.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		res := req.ResponseKind().(*kmsg.MetadataResponse)
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port = 0, "169.254.169.254", 80
		res.Brokers = append(res.Brokers, b)
		of := kmsg.NewMetadataResponseTopic()
		of.Topic = kmsg.StringPtr(name)
		p := kmsg.NewMetadataResponseTopicPartition()
		of.Partitions = append(of.Partitions, p)
		res.Topics = append(res.Topics, of)
		return res, nil, true
	})
	if _, err := open(t, c).Look(t.Context(), Window{}); fault.Of(err) != fault.Denied || !strings.Contains(err.Error(), "169.254.169.254") {
		t.Errorf("a broker's word: %v of kind %v", err, fault.Of(err))
	}
}

// TestSigningIn: by each mechanism, over TLS, and what keeps one out is said at once.
func TestSigningIn(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	trusted := &tls.Config{RootCAs: rootsOf(server)}
	for mechanism, kafka := range map[string]string{"plain": "PLAIN", "scram-sha-256": "SCRAM-SHA-256", "scram-sha-512": "SCRAM-SHA-512"} {
		c := cluster(t, 1, kfake.EnableSASL(), kfake.Superuser(kafka, "ada", "lovelace"), kfake.TLS(&tls.Config{Certificates: server.TLS.Certificates}))
		for name, o := range map[string]struct {
			login  *Login
			secure *tls.Config
			want   fault.Kind
			ok     bool
		}{
			"right":     {&Login{mechanism, "ada", "lovelace"}, trusted, 0, true},
			"wrong":     {&Login{mechanism, "ada", "hunter2"}, trusted, fault.Denied, false},
			"nobody":    {nil, trusted, fault.Transient, false},
			"untrusted": {&Login{mechanism, "ada", "lovelace"}, &tls.Config{}, fault.Denied, false},
			"in clear":  {&Login{mechanism, "ada", "lovelace"}, nil, fault.Transient, false},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, err := open(t, c, func(of *Options) { of.Login, of.TLS, of.Patience = o.login, o.secure, 500*time.Millisecond }).Look(ctx, Window{})
			cancel()
			if (err == nil) != o.ok || err != nil && fault.Of(err) != o.want {
				t.Errorf("%s, %s: %v of kind %v", mechanism, name, err, fault.Of(err))
			}
			if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "lovelace")) {
				t.Errorf("%s, %s: the error tells the password", mechanism, name)
			}
		}
	}
}
