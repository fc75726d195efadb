// Looks that go on where the last one ended, and end whatever others write.

package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
)

// TestWhoWritesToATopicTakesABoundedMemory: whatever parts and hours the records tell of, and however large they are.
func TestWhoWritesToATopicTakesABoundedMemory(t *testing.T) {
	reading := func(left int64) (*log, func(r topic.Record, part string) error) {
		f, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		l := &log{name: "price", memory: mostMemory - left, parts: map[string]*part{}, seen: map[string]*runs{}}
		return l, func(r topic.Record, part string) error {
			r.Headers = append(r.Headers, topic.Header{Name: headerDeployment, Value: "price"}, topic.Header{Name: headerPart, Value: part})
			if r.Value == nil {
				r.Value = []byte("1")
			}
			if r.Time.IsZero() {
				r.Time = noon
			}
			return l.keepRow(f, r)
		}
	}
	for name, row := range map[string]func(i int) (topic.Record, string){
		"parts": func(i int) (topic.Record, string) { return topic.Record{}, fmt.Sprintf("%0190d/0", i) },
		"hours": func(i int) (topic.Record, string) {
			return topic.Record{Time: noon.Add(time.Duration(i) * time.Hour)}, "p/" + fmt.Sprint(i)
		},
		"rows that do not touch": func(i int) (topic.Record, string) { return topic.Record{}, "p/" + fmt.Sprint(1<<20-2*i) },
	} {
		l, keep := reading(1 << 20)
		var err error
		n := 0
		for ; n < 1<<15 && err == nil; n++ {
			err = keep(row(n))
		}
		if fault.Of(err) != fault.Invalid || !strings.Contains(err.Error(), "more parts and hours") || fault.HintOf(err) == "" {
			t.Errorf("%s: %v after %d, with %d parts and %d hours", name, err, n, len(l.seen), len(l.parts))
		}
	}
	l, keep := reading(1 << 20)
	for i, part := range []string{strings.Repeat("p", mostHeader) + "/0", "p/2147483647", "p/4294967296"} {
		if err := keep(topic.Record{}, part); err != nil || len(l.parts) > 0 {
			t.Errorf("the row of part %d counts: %v", i, err)
		}
	}
	held := 0
	for i := range 4 {
		if err := keep(topic.Record{Value: make([]byte, 4<<20), Time: noon.Add(time.Duration(i) * time.Hour),
			Headers: []topic.Header{{Name: headerDropped, Value: "9223372036854775807"}}}, fmt.Sprint("p/", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range l.parts {
		held += cap(p.held)
	}
	if held > 4*2*together {
		t.Errorf("4 hours hold %d bytes", held)
	}
	if n := l.Dropped(); n != mostDropped {
		t.Errorf("%d requests were dropped", n)
	}
}

// TestALookGoesOnWhereTheLastOneEnded: nothing is asked for twice, no row is lost or met twice, whatever was sent twice and
// however little one look takes; and another topic under the same name is read from its beginning.
func TestALookGoesOnWhereTheLastOneEnded(t *testing.T) {
	c, o := cluster(t, 2)
	var asked sync.Map // lowest offset that a look asked for, by partition
	c.ControlKey(int16(kmsg.Fetch), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		for _, topic := range r.(*kmsg.FetchRequest).Topics {
			for _, p := range topic.Partitions {
				if was, there := asked.LoadOrStore(p.Partition, p.FetchOffset); there && p.FetchOffset < was.(int64) {
					asked.Store(p.Partition, p.FetchOffset)
				}
			}
		}
		return nil, nil, false
	})
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("asked"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	send := func(partition int32, part string, row int) {
		t.Helper()
		at := noon.Add(time.Duration(row) * time.Second)
		r := &kgo.Record{Partition: partition, Timestamp: at, Value: fmt.Appendf(nil, `{"time":%q,"id":"%s-%d"}`, at.Format(time.RFC3339), part, row),
			Headers: []kgo.RecordHeader{{Key: "vishwa-deployment", Value: []byte("price")}, {Key: "vishwa-part", Value: fmt.Appendf(nil, "%s/%d", part, row)}}}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var at Position
	look := func(rows int) (out []string) {
		t.Helper()
		asked.Clear()
		next := at
		r := predictionlog.Read(t.Context(), Further(o, "price", noon, Look{At: &next, Rows: rows, Within: time.Minute}), predictionlog.Query{From: noon})
		defer r.Close()
		for {
			row, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, string(row.Cells[slices.Index(r.Columns(), "id")]))
		}
		raw, err := json.Marshal(next) // as it is kept between looks
		if err != nil {
			t.Fatal(err)
		}
		at = Position{}
		if err := json.Unmarshal(raw, &at); err != nil {
			t.Fatal(err)
		}
		slices.Sort(out)
		return out
	}
	for i := range 3 {
		send(0, "a", i)
		send(1, "b", i)
	}
	if got := look(100); fmt.Sprint(got) != "[a-0 a-1 a-2 b-0 b-1 b-2]" {
		t.Fatalf("%q", got)
	}
	send(1, "a", 2) // once more, and elsewhere
	send(0, "c", 0)
	if got := look(100); fmt.Sprint(got) != "[c-0]" {
		t.Errorf("behind them: %q", got)
	}
	for _, p := range []int32{0, 1} {
		if from, there := asked.Load(p); there && from.(int64) < 3 {
			t.Errorf("partition %d is asked for from offset %d again", p, from)
		}
	}
	for i := range 2 {
		send(0, "d", i)
		send(0, "e", i)
		send(1, "f", i)
	}
	var all []string
	for range 8 {
		got := look(1)
		if len(got) > 2 {
			t.Errorf("one look takes %q", got)
		}
		all = append(all, got...)
	}
	if slices.Sort(all); fmt.Sprint(all) != "[d-0 d-1 e-0 e-1 f-0 f-1]" {
		t.Errorf("a row at a time: %q", all)
	}
	at.Topic = "another"
	send(0, "g", 0)
	if got := look(100); fmt.Sprint(got) != "[g-0]" {
		t.Errorf("of another topic, whose rows of before are known: %q", got)
	}
}

// TestALookEndsWhateverOthersWrite: between two parts, and in time also where the records of others are of none, or of one without end.
func TestALookEndsWhateverOthersWrite(t *testing.T) {
	l := &log{last: "p", look: Look{Rows: 10, Within: time.Minute}}
	now := time.Now()
	for _, c := range []struct {
		met   int
		until time.Time
		part  string
		want  bool
	}{
		{3, now.Add(time.Minute), "q", false},
		{3, now.Add(-time.Second), "q", true},
		{3, now.Add(-time.Second), "", true},
		{3, now.Add(-time.Second), "p", false},
		{3, now.Add(-2 * time.Minute), "p", true},
		{10, now.Add(time.Minute), "p", false},
		{20, now.Add(time.Minute), "p", true},
	} {
		l.met = c.met
		if got := l.enough(c.until, c.part); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
	if l = (&log{look: Look{Rows: 10, Within: time.Minute}}); !l.enough(now.Add(-time.Second), "") {
		t.Error("where no row was met yet, records of no part hold it up")
	}
}
