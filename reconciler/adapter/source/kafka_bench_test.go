// How long a range of small messages takes, beside Kafka's own console consumer on the same broker.

package source

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/vishwaops/vishwa/schemas"
)

// BenchmarkKafkaBeside reads as many messages as VISHWA_BENCH_RECORDS says, ten million without it, each
// in turn, and holds what came of them against each other.
func BenchmarkKafkaBeside(b *testing.B) {
	n := 10_000_000
	if said := os.Getenv("VISHWA_BENCH_RECORDS"); said != "" {
		var err error
		if n, err = strconv.Atoi(said); err != nil {
			b.Fatal(err)
		}
	}
	k := newBroker(b)
	cl, err := kgo.NewClient(kgo.SeedBrokers(k.plain), kgo.DefaultProduceTopic(events), kgo.AllowAutoTopicCreation(), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		b.Fatal(err)
	}
	var wrong error
	for i := range n {
		cl.Produce(b.Context(), &kgo.Record{Value: fmt.Appendf(nil, `{"id":%d,"user":"u%d","amount":%d.5}`, i, i%9973, i%1000)}, func(_ *kgo.Record, err error) {
			if err != nil {
				wrong = err
			}
		})
	}
	if err := cl.Flush(b.Context()); err != nil || wrong != nil {
		b.Fatal(err, wrong)
	}
	cl.Close()
	dir := b.TempDir()
	theirs := filepath.Join(dir, "theirs")
	for b.Loop() {
		began := time.Now()
		s := k.open(b, schemas.Kafka{})
		look, err := s.Inspect(b.Context())
		if err == nil {
			err = s.Fetch(b.Context(), look, dir, nil)
		}
		if err != nil {
			b.Fatal(err)
		}
		ours := time.Since(began)
		out, err := os.Create(theirs)
		if err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		cmd := exec.Command("java", k.program("org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", k.plain, "--topic", events, "--partition", "0", "--offset", "earliest", "--max-messages", strconv.Itoa(n))...)
		var said bytes.Buffer
		cmd.Stdout, cmd.Stderr = out, &said
		if err := cmd.Run(); err != nil {
			b.Fatalf("%v\n%s", err, said.Bytes())
		}
		took := time.Since(began)
		if err := out.Close(); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(ours.Seconds(), "ours-s")
		b.ReportMetric(took.Seconds(), "console-s")
		b.ReportMetric(took.Seconds()/ours.Seconds(), "times")
	}
	a, errA := os.ReadFile(filepath.Join(dir, events+".jsonl"))
	z, errZ := os.ReadFile(theirs)
	if errA != nil || errZ != nil || !bytes.Equal(a, z) {
		b.Errorf("%d bytes of ours, %d of the consumer: %v, %v", len(a), len(z), errA, errZ)
	}
}
