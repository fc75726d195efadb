// Messages that fastavro wrote, and messages that nobody should have written.

package message

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestFastavrosMessagesAreRead: testdata/fastavro.py wrote them.
func TestFastavrosMessagesAreRead(t *testing.T) {
	b, err := os.ReadFile("testdata/fastavro.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name, Message, JSON string
		Schema              json.RawMessage
	}
	if err := json.Unmarshal(b, &cases); err != nil || len(cases) < 25 {
		t.Fatalf("%d cases: %v", len(cases), err)
	}
	for _, c := range cases {
		message, err := base64.StdEncoding.DecodeString(c.Message)
		if err != nil {
			t.Fatal(err)
		}
		a, err := ParseAvro(c.Schema)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		got, err := a.Append([]byte("before "), message)
		if err != nil || string(got) != "before "+c.JSON {
			t.Errorf("%s: %s, want %s: %v", c.Name, got, c.JSON, err)
		}
		for n := range message { // cut anywhere, it is no message
			if got, err := a.Append(nil, message[:n]); fault.Of(err) != fault.Invalid || err == nil {
				t.Errorf("%s: of %d bytes came %s: %v", c.Name, n, got, err)
			}
		}
		if _, err := a.Append(nil, append(message, 0)); err == nil {
			t.Errorf("%s: what follows it is passed over", c.Name)
		}
	}
}

func TestSchemasOfAvroThatAreRefused(t *testing.T) {
	for name, schema := range map[string]string{
		"empty": ``, "no JSON": `{`, "a number": `7`, "unknown": `"thing"`, "two": `"int" "int"`, "an empty union": `[]`,
		"union in union": `["int", ["long"]]`, "nothing": `{}`, "no fields": `{"type":"record","name":"A"}`, "no name": `{"type":"record","fields":[]}`,
		"a field without a name": `{"type":"record","name":"A","fields":[{"type":"int"}]}`, "twice": `["int",{"type":"enum","name":"A","symbols":[]},{"type":"enum","name":"A","symbols":[]}]`,
		"a size": `{"type":"fixed","name":"A"}`, "a long size": `{"type":"fixed","name":"A","size":1e300}`, "no items": `{"type":"array"}`,
		"deep": strings.Repeat(`{"type":"array","items":`, 1000) + `"int"` + strings.Repeat("}", 1000),
		"wide": `[` + strings.Repeat(`"int",`, 20_000) + `"int"]`, "long": `"` + strings.Repeat("x", 2<<20) + `"`,
	} {
		if _, err := ParseAvro([]byte(schema)); err == nil || fault.Of(err) != fault.Invalid || len(err.Error()) > 400 {
			t.Errorf("%s: %.200v of kind %v", name, err, fault.Of(err))
		}
	}
}

// TestMessagesThatClaimTooMuch are refused before they take what they claim.
func TestMessagesThatClaimTooMuch(t *testing.T) {
	for name, c := range map[string]struct{ schema, message string }{
		"nulls without end":  {`{"type":"array","items":"null"}`, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		"the least of block": {`{"type":"array","items":"null"}`, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"},
		"records of nothing": {`{"type":"array","items":{"type":"record","name":"A","fields":[]}}`, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"},
		"a long text":        {`"string"`, "\xfe\xff\xff\xff\x0fxx"},
		"a text below zero":  {`"string"`, "\x01"},
		"a number too long":  {`"long"`, strings.Repeat("\xff", 20)},
		"an int too great":   {`"int"`, "\xfe\xff\xff\xff\x1f"},
		"itself":             {`{"type":"record","name":"A","fields":[{"name":"a","type":"A"}]}`, ""},
		"a wide decimal":     {`{"type":"bytes","logicalType":"decimal","precision":9}`, "\x80\x20" + strings.Repeat("\x7f", 2048)},
		"a great scale":      {`{"type":"array","items":{"type":"bytes","logicalType":"decimal","precision":9,"scale":1000000000}}`, "\x02\x02\x01"},
	} {
		a, err := ParseAvro([]byte(c.schema))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		a.most = 1 << 20
		if out, err := a.Append(nil, []byte(c.message)); err == nil || fault.Of(err) != fault.Invalid {
			t.Errorf("%s: %.100s: %v of kind %v", name, out, err, fault.Of(err))
		}
	}
}
