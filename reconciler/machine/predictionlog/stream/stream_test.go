// A log in a topic: what is sent there is read back as it was logged, once, whatever was sent twice.

package stream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vishwaops/vishwa/reconciler/format/predictions"
	"github.com/vishwaops/vishwa/reconciler/machine/predictionlog"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func cluster(t *testing.T, partitions int32) (*kfake.Cluster, topic.Options) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(2), kfake.SeedTopics(partitions, "asked"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, topic.Options{Brokers: c.ListenAddrs(), Topic: "asked", Unguarded: true, Patience: 5 * time.Second}
}

// keeping is the log of a deployment that goes to the topic, by the folder dir.
func keeping(t *testing.T, o topic.Options, name, dir string) *predictionlog.Log {
	t.Helper()
	to, err := To(o, name)
	if err != nil {
		t.Fatal(err)
	}
	l, err := predictionlog.Open(predictionlog.Options{Dir: dir, Place: to, Secret: []byte("s"), Every: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func asked(id string, at time.Time, x any) predictions.Exchange {
	body := func(s string) predictions.Body { return predictions.Body{Bytes: []byte(s)} }
	return predictions.Exchange{ID: id, Time: at, Status: 200, Path: "/v2/models/m/infer",
		Request:  body(fmt.Sprintf(`{"inputs":[{"name":"x","shape":[1],"datatype":"FP64","data":[%v]}]}`, x)),
		Response: body(`{"outputs":[{"name":"y","shape":[1],"datatype":"FP64","data":[0.5]}]}`)}
}

// sent waits until nothing waits to be sent.
func sent(t *testing.T, l *predictionlog.Log, dir string) {
	t.Helper()
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); ; {
		left, _ := filepath.Glob(filepath.Join(dir, "date=*", "*", "*"))
		if len(left) == 0 {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%q were not sent: %+v", left, l.Counts())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// rows are those of a log, by columns.
func rows(t *testing.T, o topic.Options, name string, q predictionlog.Query, columns ...string) (out []string, report predictionlog.Report) {
	t.Helper()
	r := predictionlog.Read(t.Context(), From(o, name, q.From), q)
	defer r.Close()
	for {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out, r.Report()
		}
		if err != nil {
			t.Fatal(err)
		}
		var cells []string
		for _, name := range columns {
			cell := "-"
			if i := slices.Index(r.Columns(), name); i >= 0 && i < len(row.Cells) && row.Cells[i] != nil {
				cell = string(row.Cells[i])
			}
			cells = append(cells, cell)
		}
		out = append(out, strings.Join(cells, " "))
	}
}

func TestALogInATopicIsReadBackAsItWasLogged(t *testing.T) {
	_, o := cluster(t, 3)
	dir := t.TempDir()
	mine, other := keeping(t, o, "price", dir), keeping(t, o, "rent", t.TempDir())
	defer mine.Close()
	other.Add(asked("not mine", noon, 9))
	for i, x := range []string{"1", "2.5", `"three"`, "1e300", "-0.125"} {
		mine.Add(asked(fmt.Sprint("id", i), noon.Add(time.Duration(i)*30*time.Minute), x))
		if err := mine.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	other.Close()
	sent(t, mine, dir)
	got, report := rows(t, o, "price", predictionlog.Query{}, "id", "feature.x", "prediction", "status")
	slices.Sort(got)
	if want := "[id0 1 0.5 200 id1 2.5 0.5 200 id2 three 0.5 200 id3 1e+300 0.5 200 id4 -0.125 0.5 200]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s: %+v", got, want, report)
	}
	between := predictionlog.Query{From: noon.Add(30 * time.Minute), To: noon.Add(90 * time.Minute)}
	if got, _ := rows(t, o, "price", between, "id"); fmt.Sprint(got) != "[id1 id2]" {
		t.Errorf("%v between %s and %s", got, between.From, between.To)
	}
}

// TestARecordIsARow: whoever reads the topic gets the row as JSON, by its id and at its time.
func TestARecordIsARow(t *testing.T) {
	c, o := cluster(t, 1)
	dir := t.TempDir()
	l := keeping(t, o, "price", dir)
	defer l.Close()
	l.Add(asked("a", noon, `"<b>"`))
	sent(t, l, dir)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.ConsumeTopics("asked"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	got := cl.PollRecords(t.Context(), 1).Records()
	var value map[string]any
	if len(got) != 1 || string(got[0].Key) != "a" || !got[0].Timestamp.Equal(noon) || json.Unmarshal(got[0].Value, &value) != nil {
		t.Fatalf("%+v", got)
	}
	if value["id"] != "a" || value["prediction"] != 0.5 || value["feature.x"] != "<b>" || value["status"] != 200.0 {
		t.Errorf("%s", got[0].Value)
	}
}

// TestWhatIsSentTwiceIsReadOnce: a part that was cut off in the middle is sent again as a whole, and so is
// one whose acknowledgement was lost.
func TestWhatIsSentTwiceIsReadOnce(t *testing.T) {
	c, o := cluster(t, 2)
	dir := t.TempDir()
	fails := 3
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if fails--; fails < 0 {
			return nil, nil, false
		}
		return nil, errors.New("the broker is away"), true
	})
	l := keeping(t, o, "price", dir)
	var want []string
	for i := range 50 {
		id := fmt.Sprintf("id%02d", i)
		want = append(want, id)
		l.Add(asked(id, noon, i))
	}
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	part, _ := filepath.Glob(filepath.Join(dir, "date=*", "*", "*.parquet"))
	if len(part) != 1 {
		t.Fatalf("%q", part)
	}
	raw, err := os.ReadFile(part[0])
	if err != nil {
		t.Fatal(err)
	}
	sent(t, l, dir)
	l.Close()
	if err := os.MkdirAll(filepath.Dir(part[0]), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(part[0], raw, 0o600); err != nil { // as if we had ended before it was removed
		t.Fatal(err)
	}
	l = keeping(t, o, "price", dir)
	sent(t, l, dir)
	l.Close()
	if got, report := rows(t, o, "price", predictionlog.Query{}, "id"); !slices.Equal(got, want) || report.Duplicates != 0 {
		t.Errorf("%v: %+v", got, report)
	}
}

// TestARecordThatIsTooLargeHoldsUpNoOther: it is counted as lost, and the rest of its part is there.
func TestARecordThatIsTooLargeHoldsUpNoOther(t *testing.T) {
	c, o := cluster(t, 1)
	dir := t.TempDir()
	c.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		q := req.(*kmsg.ProduceRequest)
		if n := len(q.Topics[0].Partitions[0].Records); n < 2000 {
			return nil, nil, false
		}
		res := q.ResponseKind().(*kmsg.ProduceResponse)
		of, p := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
		of.Topic, of.TopicID = q.Topics[0].Topic, q.Topics[0].TopicID
		p.Partition, p.ErrorCode = q.Topics[0].Partitions[0].Partition, kerr.MessageTooLarge.Code
		of.Partitions = append(of.Partitions, p)
		res.Topics = append(res.Topics, of)
		return res, nil, true
	})
	l := keeping(t, o, "price", dir)
	defer l.Close()
	noise := make([]byte, 4000)
	for i := range noise {
		noise[i] = 'a' + byte(rand.N(26))
	}
	for i, x := range []string{"1", `"` + string(noise) + `"`, "3"} {
		l.Add(asked(fmt.Sprint("id", i), noon, x))
	}
	sent(t, l, dir)
	if got, _ := rows(t, o, "price", predictionlog.Query{}, "id"); fmt.Sprint(got) != "[id0 id2]" {
		t.Errorf("%v", got)
	}
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		n := l.Counts()
		if n.Lost == 1 && n.Rows == 2 && strings.Contains(n.Error, "too large") {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("%+v", n)
		}
	}
}

// TestForeignRecordsAreNotRows: others may write to the topic.
func TestForeignRecordsAreNotRows(t *testing.T) {
	c, o := cluster(t, 1)
	dir := t.TempDir()
	l := keeping(t, o, "price", dir)
	defer l.Close()
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("asked"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	by := func(name string) kgo.RecordHeader {
		return kgo.RecordHeader{Key: headerDeployment, Value: []byte(name)}
	}
	for _, r := range []*kgo.Record{
		{Value: []byte("hello")},
		{Value: []byte(`{"id":"x"}`), Headers: []kgo.RecordHeader{by("prices")}},
		{Headers: []kgo.RecordHeader{by("price")}},
		{Value: []byte("{\"id\":\"y\"}\n{\"id\":\"z\"}"), Headers: []kgo.RecordHeader{by("price")}},
		{Value: []byte(`{"id":"w"}`), Headers: []kgo.RecordHeader{by("price"), {Key: headerPart, Value: []byte("p/-1")}}},
	} {
		if err := cl.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	l.Add(asked("a", noon, 1))
	sent(t, l, dir)
	if got, report := rows(t, o, "price", predictionlog.Query{}, "id"); fmt.Sprint(got) != "[a]" || len(report.Unreadable) > 0 {
		t.Errorf("%v: %+v", got, report)
	}
}

// TestALogThatNobodyWroteIsEmpty, and one whose topic is not there says so.
func TestALogThatNobodyWroteIsEmpty(t *testing.T) {
	_, o := cluster(t, 1)
	if got, _ := rows(t, o, "price", predictionlog.Query{}, "id"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	o.Topic = "elsewhere"
	r := predictionlog.Read(t.Context(), From(o, "price", noon), predictionlog.Query{})
	defer r.Close()
	if _, err := r.Next(); err == nil || !strings.Contains(err.Error(), "there is no topic elsewhere") {
		t.Error(err)
	}
}

func TestRunsKnowWhatTheyHave(t *testing.T) {
	r, have := runs{}, map[int32]bool{}
	random := rand.New(rand.NewPCG(1, 2))
	for range 3000 {
		n := int32(random.IntN(400))
		if r.add(n) == have[n] {
			t.Fatalf("%d: %v", n, r.of)
		}
		have[n] = true
	}
	for i := 1; i < len(r.of); i++ {
		if r.of[i-1][1] >= r.of[i][0] {
			t.Fatalf("ranges touch: %v", r.of)
		}
	}
	if r = (runs{}); !r.add(0) || !r.add(1) || !r.add(2) || len(r.of) != 1 {
		t.Errorf("%v", r.of)
	}
}

// TestWhatNobodyGotIsNotReadAmongWhatWasAnswered: also where both are records of one topic.
func TestWhatNobodyGotIsNotReadAmongWhatWasAnswered(t *testing.T) {
	_, o := cluster(t, 1)
	dir := t.TempDir()
	l := keeping(t, o, "price", dir)
	defer l.Close()
	second := asked("a", noon, 1)
	second.Second, second.Arm = true, "shadow"
	l.Add(asked("a", noon, 1))
	l.Add(second)
	sent(t, l, dir)
	if got, report := rows(t, o, "price", predictionlog.Query{}, "id", "arm"); !slices.Equal(got, []string{"a -"}) || report.ShadowParts != 1 || report.Duplicates != 0 {
		t.Errorf("%q, %+v", got, report)
	}
	if got, _ := rows(t, o, "price", predictionlog.Query{Shadow: true}, "id", "arm"); len(got) != 2 {
		t.Errorf("with it: %q", got)
	}
}
