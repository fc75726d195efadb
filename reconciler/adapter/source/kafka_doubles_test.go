// A Kafka cluster in this process, that can be made to fail.

package source

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// kafka is a cluster with one topic.
type kafka struct {
	trouble
	*kfake.Cluster
	cl *kgo.Client
}

const events = "events"

func newKafka(t *testing.T, partitions int, opts ...kfake.Opt) *kafka {
	t.Helper()
	k := &kafka{}
	k.cut = -1
	listen := kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return troubledListener{l, k}, err
	})
	var err error
	if k.Cluster, err = kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), listen}, opts...)...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	k.Control(func(req kmsg.Request) (kmsg.Response, error, bool) {
		k.KeepControl()
		_, status, _ := k.now()
		if q, ok := req.(*kmsg.MetadataRequest); ok && (status == 401 || status == 403) && len(q.Topics) == 1 {
			res := q.ResponseKind().(*kmsg.MetadataResponse)
			of := kmsg.NewMetadataResponseTopic()
			of.Topic, of.ErrorCode = kmsg.StringPtr(events), kerr.TopicAuthorizationFailed.Code
			res.Topics = append(res.Topics, of)
			return res, nil, true
		}
		return nil, nil, false
	})
	if k.cl, err = kgo.NewClient(kgo.SeedBrokers(k.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.DefaultProduceTopic(events), kgo.MetadataMinAge(10*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.cl.Close)
	if partitions > 0 {
		k.create(t, partitions)
	}
	return k
}

func (k *kafka) create(t *testing.T, partitions int) {
	t.Helper()
	create := kmsg.NewPtrCreateTopicsRequest()
	of := kmsg.NewCreateTopicsRequestTopic()
	of.Topic, of.NumPartitions, of.ReplicationFactor = events, int32(partitions), 1
	create.Topics = append(create.Topics, of)
	if _, err := create.RequestWith(t.Context(), k.cl); err != nil {
		t.Fatal(err)
	}
	k.cl.PurgeTopicsFromClient(events)
}

func (k *kafka) drop(t *testing.T) {
	t.Helper()
	drop := kmsg.NewPtrDeleteTopicsRequest()
	of := kmsg.NewDeleteTopicsRequestTopic()
	of.Topic = kmsg.StringPtr(events)
	drop.Topics, drop.TopicNames = append(drop.Topics, of), []string{events}
	if _, err := drop.RequestWith(t.Context(), k.cl); err != nil {
		t.Fatal(err)
	}
}

func (k *kafka) send(t *testing.T, partition int32, values ...[]byte) {
	t.Helper()
	for i, v := range values {
		r := &kgo.Record{Partition: partition, Key: []byte("key"), Value: v, Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)).UTC()}
		if err := k.cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// source opens a source of the cluster's topic.
func (k *kafka) source(t *testing.T, spec schemas.Kafka, change ...func(*Options)) port.Source {
	t.Helper()
	spec.Brokers, spec.Topic = k.ListenAddrs(), events
	o := Options{Allow: loopback, Pace: dial.Pace{Window: 300 * time.Millisecond}}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(schemas.DataSource{Kafka: &spec}, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

type troubledListener struct {
	net.Listener
	k *kafka
}

func (l troubledListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &troubledConn{Conn: c, k: l.k}, nil
}

type troubledConn struct {
	net.Conn
	k    *kafka
	sent int
}

func (c *troubledConn) Write(b []byte) (int, error) {
	cut, status, hang := c.k.now()
	if hang != nil {
		<-hang
	}
	if status >= 429 {
		c.Conn.Close()
		return 0, errors.New("the cluster is in trouble")
	}
	if cut >= 0 && c.sent+len(b) > cut {
		n, _ := c.Conn.Write(b[:max(0, min(len(b), cut-c.sent))])
		c.Conn.Close()
		return n, errors.New("the connection breaks")
	}
	n, err := c.Conn.Write(b)
	c.sent += n
	return n, err
}

// unpacked is a topic of raw values, as the values one behind the other.
type unpacked struct{ port.Source }

func (u unpacked) Fetch(ctx context.Context, look port.Snapshot, dir string, tell func(done, total int64)) error {
	if err := u.Source.Fetch(ctx, look, dir, tell); err != nil {
		return err
	}
	at := filepath.Join(dir, events+".jsonl")
	b, err := os.ReadFile(at)
	if err != nil {
		return err
	}
	var out []byte
	for line := range bytes.Lines(b) {
		var row struct{ Value string }
		if err := json.Unmarshal(line, &row); err != nil {
			return err
		}
		value, err := base64.StdEncoding.DecodeString(row.Value)
		if err != nil {
			return err
		}
		out = append(out, value...)
	}
	return os.WriteFile(at, out, 0o600)
}
