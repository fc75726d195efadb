// A schema registry, asked by the two paths that a reader needs: a schema by its id, and what it
// refers to by subject and version. What a registry once gave an id stays that id's; the digest of
// each that was used is told, so that whoever keeps it sees whether that held.

package messageschema

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/message"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

const (
	maxAnswer  = 4 << 20 // bytes: a schema as a text in JSON
	maxSchemas = 1000    // that the messages of one topic may be of
	patience   = 30 * time.Second
)

// RegistryOptions say how a registry is reached.
type RegistryOptions struct {
	URL            string
	User, Password string   // "" is nobody
	Allow          []string // hosts and networks that may be asked although they are private
	Format         Format
}

// Registry decodes messages that name their schema, in Confluent's way: a zero, the id in four bytes,
// and for Protobuf which message of the schema it is. It is for one reader at a time.
type Registry struct {
	o      RegistryOptions
	at     *url.URL
	client *http.Client
	known  map[uint32]*registered
	order  []uint32
}

// registered is a schema that a registry gave.
type registered struct {
	digest  digest.Digest
	decoder Decoder                           // of Avro and JSON
	file    protoreflect.FileDescriptor       // of Protobuf
	of      map[protoreflect.FullName]Decoder // its messages
}

// OpenRegistry makes ready to ask. Nothing is asked yet.
func OpenRegistry(o RegistryOptions) (*Registry, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the registry's address cannot be read"), "write it as https://host, without a user or a query")
	}
	g, err := dial.NewGuard(u.Hostname(), o.Allow)
	if err != nil {
		return nil, err
	}
	client := &http.Client{
		Transport:     dial.Paced(httpx.Transport(httpx.Options{Dial: g.Dial}), dial.Pace{Window: patience, Least: 1, Whole: 2 * patience}),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Registry{o: o, at: u, client: client, known: map[uint32]*registered{}}, nil
}

// Used are the schemas that messages were of, as id and digest.
func (r *Registry) Used() string {
	var all []string
	for _, id := range r.order {
		all = append(all, fmt.Sprintf("%d=%s", id, r.known[id].digest))
	}
	return strings.Join(all, " ")
}

// AppendFramed writes a message that names its schema as JSON.
func (r *Registry) AppendFramed(ctx context.Context, out, b []byte) ([]byte, error) {
	if len(b) < 5 || b[0] != 0 {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the message names no schema: it does not begin with a zero and an id"), "name a file as its schema, or the format that it has")
	}
	id := binary.BigEndian.Uint32(b[1:])
	of := r.known[id]
	if of == nil {
		var err error
		if of, err = r.schema(ctx, id); err != nil {
			return nil, err
		}
		r.known[id] = of
		r.order = append(r.order, id)
	}
	b = b[5:]
	if r.o.Format != Protobuf {
		return of.decoder.Append(out, b)
	}
	d, rest, err := of.message(b)
	if err != nil {
		return nil, err
	}
	return d.Append(out, rest)
}

// message is the one of a Protobuf schema that the first bytes name: how many numbers there are, and
// which message at each depth. A single zero is the first.
func (s *registered) message(b []byte) (Decoder, []byte, error) {
	cut := fault.WithHint(fault.New(fault.Invalid, "the message does not say which of its schema's messages it is"), "see what its producer writes")
	number := func() (int, bool) {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			return 0, false
		}
		b = b[n:]
		signed := protowire.DecodeZigZag(v)
		return int(signed), signed >= 0 && signed < 1<<16
	}
	n, ok := number()
	if !ok || n > 64 {
		return nil, nil, cut
	}
	path := []int{0}
	if n > 0 {
		path = path[:0]
		for range n {
			i, ok := number()
			if !ok {
				return nil, nil, cut
			}
			path = append(path, i)
		}
	}
	var of protoreflect.MessageDescriptor
	for all := s.file.Messages(); len(path) > 0; path, all = path[1:], of.Messages() {
		if path[0] >= all.Len() {
			return nil, nil, cut
		}
		of = all.Get(path[0])
	}
	d := s.of[of.FullName()]
	if d == nil {
		d = message.NewProtobuf(of)
		s.of[of.FullName()] = d
	}
	return d, b, nil
}

// answered is what a registry says of a schema.
type answered struct {
	Schema     string `json:"schema"`
	SchemaType string `json:"schemaType"` // "" is AVRO
	References []struct {
		Name    string `json:"name"`
		Subject string `json:"subject"`
		Version int    `json:"version"`
	} `json:"references"`
}

func (r *Registry) schema(ctx context.Context, id uint32) (*registered, error) {
	if len(r.known) >= maxSchemas {
		return nil, fault.WithHint(fault.New(fault.Invalid, "the messages are of more than %d schemas", maxSchemas), "read fewer at once")
	}
	top, err := r.ask(ctx, fmt.Sprintf("schema %d", id), "schemas", "ids", strconv.FormatUint(uint64(id), 10))
	if err != nil {
		return nil, err
	}
	said := Format(strings.ToLower(top.SchemaType))
	if said == "" {
		said = Avro
	}
	if said != r.o.Format {
		return nil, fault.WithHint(fault.New(fault.Invalid, "schema %d is of the format %.20q, and %s is declared", id, said, r.o.Format), "declare the format that it has")
	}
	all := &references{r: r, of: map[string]string{}}
	if err := all.collect(ctx, top, 0); err != nil {
		return nil, about(fmt.Sprintf("schema %d", id), err)
	}
	s, err := all.build(ctx, top)
	if err != nil {
		return nil, about(fmt.Sprintf("schema %d", id), err)
	}
	return s, nil
}

// references are what a schema is made of besides itself, those that others need before them.
type references struct {
	r     *Registry
	of    map[string]string
	order []string
}

func (c *references) collect(ctx context.Context, a answered, depth int) error {
	for _, ref := range a.References {
		if _, ok := c.of[ref.Name]; ok {
			continue
		}
		if len(c.of) >= maxReferences || depth > 16 {
			return fault.WithHint(fault.New(fault.Invalid, "it refers to more than %d others", maxReferences), "write the schema with fewer references")
		}
		c.of[ref.Name] = "" // which is on its way
		got, err := c.r.ask(ctx, "what it refers to", "subjects", ref.Subject, "versions", strconv.Itoa(ref.Version))
		if err != nil {
			return err
		}
		if err := c.collect(ctx, got, depth+1); err != nil {
			return err
		}
		c.of[ref.Name] = got.Schema
		c.order = append(c.order, ref.Name)
	}
	return nil
}

func (c *references) build(ctx context.Context, top answered) (*registered, error) {
	const name = "schema.proto"
	var before [][]byte
	parts := []string{top.Schema}
	for _, n := range c.order {
		before = append(before, []byte(c.of[n]))
		parts = append(parts, n, c.of[n])
	}
	whole, err := digest.JSON(parts)
	if err != nil {
		return nil, fault.New(fault.Internal, "name a schema: %w", err)
	}
	s := &registered{digest: whole}
	switch c.r.o.Format {
	case Avro:
		s.decoder, err = message.ParseAvro([]byte(top.Schema), before...)
	case Protobuf:
		s.of = map[protoreflect.FullName]Decoder{}
		read := &reading{from: func(p string) ([]byte, error) {
			if p == name {
				return []byte(top.Schema), nil
			}
			if text, ok := c.of[p]; ok {
				return []byte(text), nil
			}
			return nil, fault.WithHint(fault.New(fault.Missing, "it imports %.100q, which the registry does not say it refers to", p), "register the schema again with that import among its references")
		}}
		s.file, err = read.compile(ctx, name)
	default:
		s.decoder = OfJSON
	}
	return s, err
}

// ask asks for one thing.
func (r *Registry) ask(ctx context.Context, what string, at ...string) (answered, error) {
	for i := range at {
		at[i] = url.PathEscape(at[i])
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.at.JoinPath(at...).String(), nil)
	if err != nil {
		return answered{}, fault.WithHint(fault.New(fault.Invalid, "the registry's address cannot be read"), "write it as https://HOST[:PORT]")
	}
	req.Header.Set("Accept", "application/vnd.schemaregistry.v1+json, application/json")
	if r.o.User != "" || r.o.Password != "" {
		req.SetBasicAuth(r.o.User, r.o.Password)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return answered{}, fmt.Errorf("ask %s for %s: %w", r.at.Host, what, httpx.Failed(ctx, err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		kind := httpx.KindOf(res.StatusCode)
		way := map[fault.Kind]string{
			fault.Missing: "see which registry the producer used; the schema may have been deleted there",
			fault.Denied:  "name the variables that hold a user and a password who may read it",
		}[kind]
		return answered{}, fault.WithHint(fault.New(kind, "the registry %s answers %d for %s", r.at.Host, res.StatusCode, what), "%s", cmp.Or(way, "the log of the registry says more"))
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return answered{}, fmt.Errorf("ask %s for %s: %w", r.at.Host, what, httpx.Failed(ctx, err))
	}
	var a answered
	if err := json.Unmarshal(b, &a); len(b) > maxAnswer || err != nil || a.Schema == "" || len(a.Schema) > maxSchema {
		return answered{}, fault.WithHint(fault.New(fault.Invalid, "the registry %s answers for %s with something that is no schema", r.at.Host, what), "see that the address is that of a registry")
	}
	return a, nil
}
