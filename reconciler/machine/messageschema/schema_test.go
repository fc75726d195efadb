// Schemas from files and from a registry, whatever is wrong with them or with who answers.

package messageschema

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

const order = `syntax = "proto3";
package acme;
import "acme/money.proto";
import "google/protobuf/timestamp.proto";
message Ignored {}
message Order {
  message Line { string sku = 1; }
  int64 id = 1;
  Money price = 2;
  google.protobuf.Timestamp at = 3;
  repeated Line lines = 4;
}
`

const money = `syntax = "proto3";
package acme;
message Money { int64 cents = 1; string currency = 2; }
`

// bytesOf is a field of bytes.
func bytesOf(n protowire.Number, b string) string {
	return string(protowire.AppendString(protowire.AppendTag(nil, n, protowire.BytesType), b))
}

func varint(n protowire.Number, v uint64) string {
	return string(protowire.AppendVarint(protowire.AppendTag(nil, n, protowire.VarintType), v))
}

var (
	anOrder = varint(1, 7) + bytesOf(2, varint(1, 250)+bytesOf(2, "EUR")) + bytesOf(3, varint(1, 1e9)) + bytesOf(4, bytesOf(1, "x"))
	asJSON  = `{"id":7,"price":{"cents":250,"currency":"EUR"},"at":"2001-09-09T01:46:40Z","lines":[{"sku":"x"}]}`
)

func TestAFileOfTheRepositoryIsASchema(t *testing.T) {
	tree := fstest.MapFS{
		"schemas/order.proto":      {Data: []byte(order)},
		"schemas/acme/money.proto": {Data: []byte(money)},
		"schemas/bad.proto":        {Data: []byte("syntax = \"proto3\";\nmessage {")},
		"schemas/empty.proto":      {Data: []byte("syntax = \"proto3\";")},
		"schemas/alone.proto":      {Data: []byte("syntax = \"proto3\"; import \"nowhere.proto\"; message A {}")},
		"schemas/order.avsc":       {Data: []byte(`{"type":"record","name":"O","fields":[{"name":"id","type":"long"}]}`)},
		"schemas/bad.avsc":         {Data: []byte(`{"type":"record","name":"O","fields":[{"name":"id","type":"nothing"}]}`)},
	}
	for name, c := range map[string]struct {
		format        Format
		file, of      string
		message, want string
		refused       fault.Kind
	}{
		"protobuf":        {Protobuf, "schemas/order.proto", "acme.Order", anOrder, asJSON, 0},
		"within another":  {Protobuf, "schemas/order.proto", "acme.Order.Line", bytesOf(1, "x"), `{"sku":"x"}`, 0},
		"the first":       {Protobuf, "schemas/acme/money.proto", "", varint(1, 5), `{"cents":5,"currency":""}`, 0},
		"avro":            {Avro, "schemas/order.avsc", "", "\x0e", `{"id":7}`, 0},
		"no such message": {Protobuf, "schemas/order.proto", "acme.Nothing", "", "", fault.Invalid},
		"no message":      {Protobuf, "schemas/empty.proto", "", "", "", fault.Invalid},
		"wrong":           {Protobuf, "schemas/bad.proto", "", "", "", fault.Invalid},
		"wrong avro":      {Avro, "schemas/bad.avsc", "", "", "", fault.Invalid},
		"imports nothing": {Protobuf, "schemas/alone.proto", "", "", "", fault.Invalid},
		"not there":       {Avro, "schemas/none.avsc", "", "", "", fault.Missing},
		"outside":         {Avro, "../etc/passwd", "", "", "", fault.Invalid},
	} {
		d, named, err := FromFile(t.Context(), tree, c.format, c.file, c.of)
		if c.want == "" {
			if err == nil || fault.Of(err) != c.refused {
				t.Errorf("%s: %v of kind %v, want %v", name, err, fault.Of(err), c.refused)
			}
			continue
		}
		if err != nil || named == "" {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := d.Append(nil, []byte(c.message)); err != nil || string(got) != c.want {
			t.Errorf("%s: %s, want %s: %v", name, got, c.want, err)
		}
	}
}

// TestTheDigestIsOfAllThatIsRead: an import that changes is another schema.
func TestTheDigestIsOfAllThatIsRead(t *testing.T) {
	tree := fstest.MapFS{"order.proto": {Data: []byte(order)}, "acme/money.proto": {Data: []byte(money)}}
	_, before, err := FromFile(t.Context(), tree, Protobuf, "order.proto", "acme.Order")
	if err != nil {
		t.Fatal(err)
	}
	tree["acme/money.proto"] = &fstest.MapFile{Data: []byte(strings.Replace(money, "cents", "pence", 1))}
	_, after, err := FromFile(t.Context(), tree, Protobuf, "order.proto", "acme.Order")
	if err != nil || before == after {
		t.Errorf("the digest stays %s: %v", after, err)
	}
}

// registry answers by the paths of Confluent's.
type registry map[string]any

func (r registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if user, password, _ := req.BasicAuth(); user != "ada" || password != "lovelace" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	v, ok := r[req.URL.EscapedPath()]
	if !ok {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"error_code":40403,"message":"Schema not found"}`)
		return
	}
	if status, ok := v.(int); ok {
		w.WriteHeader(status)
		return
	}
	_ = json.NewEncoder(w).Encode(v)
}

func framed(id byte, rest string) []byte { return append([]byte{0, 0, 0, 0, id}, rest...) }

func TestARegistryTellsTheSchemaOfEachMessage(t *testing.T) {
	type m = map[string]any
	avro := `{"type":"record","name":"O","fields":[{"name":"id","type":"long"},{"name":"m","type":"acme.Money"}]}`
	server := httptest.NewServer(registry{
		"/base/schemas/ids/1":                 m{"schema": `{"type":"record","name":"O","fields":[{"name":"id","type":"long"}]}`},
		"/base/schemas/ids/2":                 m{"schema": avro, "references": []m{{"name": "acme.Money", "subject": "money/x", "version": 3}}},
		"/base/subjects/money%2Fx/versions/3": m{"schema": `{"type":"record","name":"Money","namespace":"acme","fields":[{"name":"cents","type":"int"}]}`},
		"/base/schemas/ids/3":                 m{"schemaType": "PROTOBUF", "schema": order, "references": []m{{"name": "acme/money.proto", "subject": "money", "version": 1}}},
		"/base/subjects/money/versions/1":     m{"schemaType": "PROTOBUF", "schema": money},
		"/base/schemas/ids/4":                 m{"schemaType": "JSON", "schema": `{"type":"object"}`},
		"/base/schemas/ids/5":                 503,
		"/base/schemas/ids/6":                 m{"nothing": true},
		"/base/schemas/ids/7":                 m{"schema": avro, "references": []m{{"name": "a", "subject": "loop", "version": 1}}},
		"/base/subjects/loop/versions/1":      m{"schema": avro, "references": []m{{"name": "a", "subject": "loop", "version": 1}}},
		"/base/schemas/ids/8":                 m{"schemaType": "PROTOBUF", "schema": order},
	})
	defer server.Close()
	open := func(f Format, password string, allow ...string) *Registry {
		r, err := OpenRegistry(RegistryOptions{URL: server.URL + "/base", User: "ada", Password: password, Allow: allow, Format: f})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const here = "127.0.0.1"
	for name, c := range map[string]struct {
		r       *Registry
		message []byte
		want    string
		refused fault.Kind
	}{
		"avro":                {open(Avro, "lovelace", here), framed(1, "\x0e"), `{"id":7}`, 0},
		"a reference":         {open(Avro, "lovelace", here), framed(2, "\x0e\x04"), `{"id":7,"m":{"cents":2}}`, 0},
		"protobuf":            {open(Protobuf, "lovelace", here), framed(3, "\x02\x02"+anOrder), asJSON, 0},
		"protobuf, the first": {open(Protobuf, "lovelace", here), framed(3, "\x00"), `{}`, 0},
		"protobuf, within":    {open(Protobuf, "lovelace", here), framed(3, "\x04\x02\x00"+bytesOf(1, "x")), `{"sku":"x"}`, 0},
		"json":                {open(JSON, "lovelace", here), framed(4, `{"a": 1}`), `{"a":1}`, 0},
		"unknown":             {open(Avro, "lovelace", here), framed(99, ""), "", fault.Missing},
		"down":                {open(Avro, "lovelace", here), framed(5, ""), "", fault.Transient},
		"no schema":           {open(Avro, "lovelace", here), framed(6, ""), "", fault.Invalid},
		"of itself":           {open(Avro, "lovelace", here), framed(7, ""), "", fault.Invalid},
		"imports what is not": {open(Protobuf, "lovelace", here), framed(8, "\x00"), "", fault.Invalid},
		"another format":      {open(Protobuf, "lovelace", here), framed(1, ""), "", fault.Invalid},
		"wrong password":      {open(Avro, "hunter2", here), framed(1, ""), "", fault.Denied},
		"private":             {open(Avro, "lovelace"), framed(1, ""), "", fault.Denied},
		"no frame":            {open(Avro, "lovelace", here), []byte(`{"a":1}`), "", fault.Invalid},
		"cut":                 {open(Avro, "lovelace", here), []byte("\x00\x00"), "", fault.Invalid},
		"no such message":     {open(Protobuf, "lovelace", here), framed(3, "\x02\x0e"), "", fault.Invalid},
		"a path without end":  {open(Protobuf, "lovelace", here), framed(3, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"), "", fault.Invalid},
		"a path that is cut":  {open(Protobuf, "lovelace", here), framed(3, "\x06\x02"), "", fault.Invalid},
	} {
		got, err := c.r.AppendFramed(t.Context(), nil, c.message)
		if c.want == "" {
			if err == nil || fault.Of(err) != c.refused || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v of kind %v, want %v", name, err, fault.Of(err), c.refused)
			}
			continue
		}
		if err != nil || string(got) != c.want || !strings.Contains(c.r.Used(), "=sha256:") {
			t.Errorf("%s: %s, want %s, by %q: %v", name, got, c.want, c.r.Used(), err)
		}
	}
}
