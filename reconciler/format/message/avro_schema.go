// Schemas of Avro (https://avro.apache.org/docs/1.12.0/specification/), as far as they say how
// bytes are read: aliases, defaults and documentation are passed over.

package message

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

type avroKind uint8

const (
	avroNull avroKind = iota
	avroBoolean
	avroInt
	avroLong
	avroFloat
	avroDouble
	avroBytes
	avroString
	avroRecord
	avroEnum
	avroArray
	avroMap
	avroUnion
	avroFixed
)

var avroPrimitives = map[string]avroKind{
	"null": avroNull, "boolean": avroBoolean, "int": avroInt, "long": avroLong,
	"float": avroFloat, "double": avroDouble, "bytes": avroBytes, "string": avroString,
}

// avroType is a type, of which those with a name may hold themselves.
type avroType struct {
	kind    avroKind
	logical string
	scale   int
	size    int         // of a fixed
	symbols [][]byte    // of an enum, as JSON
	fields  []avroField // of a record
	of      []*avroType // of an array or a map the one, of a union each
}

type avroField struct {
	key []byte // as JSON, with its colon
	typ *avroType
}

// Avro decodes messages of one schema.
type Avro struct {
	root *avroType
	most int // bytes of JSON
}

// avroNames is what the types of a schema are called by.
type avroNames struct {
	known map[string]*avroType
	count int
}

// ParseAvro reads a schema, which may name the types of those before it.
func ParseAvro(schema []byte, before ...[]byte) (*Avro, error) {
	names := &avroNames{known: map[string]*avroType{}}
	var root *avroType
	for _, text := range append(before, schema) {
		if len(text) > maxSchema {
			return nil, wrong("the Avro schema has more than %d bytes", maxSchema)
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return nil, wrong("the Avro schema is no JSON: %w", err)
		}
		if _, err := d.Token(); err != io.EOF {
			return nil, wrong("the Avro schema is followed by something else")
		}
		var err error
		if root, err = names.parse(v, "", 0); err != nil {
			return nil, fmt.Errorf("read the Avro schema: %w", err)
		}
	}
	return &Avro{root, MaxText}, nil
}

func (n *avroNames) parse(v any, space string, depth int) (*avroType, error) {
	if n.count++; n.count > maxTypes || depth > maxDepth {
		return nil, wrong("it has too many types, or they are too deep within one another")
	}
	switch v := v.(type) {
	case string:
		return n.named(v, space)
	case []any:
		t := &avroType{kind: avroUnion}
		for _, one := range v {
			of, err := n.parse(one, space, depth+1)
			if err != nil {
				return nil, err
			}
			if of.kind == avroUnion {
				return nil, wrong("a union is directly within another")
			}
			t.of = append(t.of, of)
		}
		if len(t.of) == 0 {
			return nil, wrong("a union is of nothing")
		}
		return t, nil
	case map[string]any:
		return n.object(v, space, depth)
	}
	return nil, wrong("a type is neither a name, nor an object, nor a list")
}

// named is a type that is known by its name.
func (n *avroNames) named(name, space string) (*avroType, error) {
	if kind, ok := avroPrimitives[name]; ok {
		return &avroType{kind: kind}, nil
	}
	if t := n.known[fullName(name, space)]; t != nil {
		return t, nil
	}
	if t := n.known[name]; t != nil {
		return t, nil
	}
	return nil, wrong("there is no type %q", cut(name))
}

func cut(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}

func fullName(name, space string) string {
	if strings.Contains(name, ".") || space == "" {
		return name
	}
	return space + "." + name
}

func (n *avroNames) object(v map[string]any, space string, depth int) (*avroType, error) {
	kind, ok := v["type"].(string)
	if !ok { // {"type": {...}} is that type
		if v["type"] == nil {
			return nil, wrong("a type says not what it is")
		}
		return n.parse(v["type"], space, depth+1)
	}
	t := &avroType{}
	switch kind {
	case "record", "error":
		return n.record(v, space, depth)
	case "enum":
		t.kind = avroEnum
		all, _ := v["symbols"].([]any)
		for _, s := range all {
			text, _ := s.(string)
			t.symbols = append(t.symbols, appendText(nil, []byte(text)))
		}
		return t, n.declare(v, space, t)
	case "fixed":
		t.kind = avroFixed
		if t.size, ok = whole(v["size"]); !ok || t.size > MaxText {
			return nil, wrong("a fixed type says not how many bytes it has")
		}
		t.logicalOf(v)
		return t, n.declare(v, space, t)
	case "array", "map":
		t.kind = avroArray
		of := v["items"]
		if kind == "map" {
			t.kind, of = avroMap, v["values"]
		}
		in, err := n.parse(of, space, depth+1)
		t.of = []*avroType{in}
		return t, err
	}
	if of, ok := avroPrimitives[kind]; ok {
		t.kind = of
		t.logicalOf(v)
		return t, nil
	}
	return n.named(kind, space)
}

func (n *avroNames) record(v map[string]any, space string, depth int) (*avroType, error) {
	t := &avroType{kind: avroRecord}
	if err := n.declare(v, space, t); err != nil {
		return nil, err
	}
	if own := spaceOf(v); own != "" {
		space = own
	}
	all, ok := v["fields"].([]any)
	if !ok {
		return nil, wrong("a record says not which fields it has")
	}
	for _, f := range all {
		of, _ := f.(map[string]any)
		name, ok := of["name"].(string)
		if !ok {
			return nil, wrong("a field has no name")
		}
		in, err := n.parse(of["type"], space, depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cut(name), err)
		}
		t.fields = append(t.fields, avroField{append(appendText(nil, []byte(name)), ':'), in})
	}
	return t, nil
}

// spaceOf is the namespace that a type brings for those within it.
func spaceOf(v map[string]any) string {
	name, _ := v["name"].(string)
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i]
	}
	space, _ := v["namespace"].(string)
	return space
}

// declare has a type known by its name.
func (n *avroNames) declare(v map[string]any, space string, t *avroType) error {
	name, ok := v["name"].(string)
	if !ok || name == "" {
		return wrong("a record, enum or fixed type has no name")
	}
	if own, ok := v["namespace"].(string); ok {
		space = own
	}
	full := fullName(name, space)
	if n.known[full] != nil {
		return wrong("the type %q is there twice", cut(full))
	}
	n.known[full] = t
	return nil
}

// logicalOf notes what the bytes stand for, where that is known and fits.
func (t *avroType) logicalOf(v map[string]any) {
	name, _ := v["logicalType"].(string)
	fits := map[string][]avroKind{
		"date": {avroInt}, "time-millis": {avroInt}, "time-micros": {avroLong},
		"timestamp-millis": {avroLong}, "timestamp-micros": {avroLong}, "timestamp-nanos": {avroLong},
		"local-timestamp-millis": {avroLong}, "local-timestamp-micros": {avroLong}, "local-timestamp-nanos": {avroLong},
		"decimal": {avroBytes, avroFixed}, "uuid": {avroFixed},
	}
	for _, k := range fits[name] {
		if k != t.kind {
			continue
		}
		if name == "uuid" && t.size != 16 {
			return
		}
		if name == "decimal" {
			if s, given := v["scale"]; given {
				var ok bool
				if t.scale, ok = whole(s); !ok || t.scale > maxDecimal {
					return
				}
			}
		}
		t.logical = name
	}
}

func whole(v any) (int, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return int(i), err == nil && i >= 0 && i < 1<<31
}
