// Data in a Kafka topic: a range of offsets of each partition, as JSON lines, by partition and then
// by offset. The ranges are the data's name: the same name gives the same bytes, however the topic
// grows, or is said to be gone.

package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/messageschema"
	"github.com/vishwaops/vishwa/reconciler/machine/topic"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// stream is a topic, and how its values are read.
type stream struct {
	o       Options
	spec    schemas.Kafka
	of      topic.Options
	schemas string // of a registry, which the last fetch used, as id and digest
}

func openTopic(spec schemas.Kafka, o Options) (port.Source, error) {
	if err := o.Env.MayAsk(addresses(spec.Brokers)[0]); err != nil {
		return nil, err
	}
	s := &stream{o: o, spec: spec, of: topic.Options{Brokers: spec.Brokers, Topic: spec.Topic, Allow: o.Allow, Patience: o.Pace.Window}}
	if spec.SASL != nil {
		user, password, err := o.pair(spec.SASL.User, spec.SASL.Password, addresses(spec.Brokers)...)
		if err != nil {
			return nil, err
		}
		s.of.Login = &topic.Login{Mechanism: spec.SASL.Mechanism, User: user, Password: password}
	}
	var err error
	if spec.TLS != nil {
		if s.of.TLS, err = o.secure(*spec.TLS, addresses(spec.Brokers)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// addresses are what brokers are called where it is said who may be sent what.
func addresses(brokers []string) (out []string) {
	for _, b := range brokers {
		out = append(out, "kafka://"+b)
	}
	return out
}

// pair are the values of two variables, both of which are there, for all of these addresses.
func (o Options) pair(one, other string, to ...string) (string, string, error) {
	a, err := o.variable(one, to...)
	if err != nil {
		return "", "", err
	}
	b, err := o.variable(other, to...)
	if err != nil {
		return "", "", err
	}
	for name, v := range map[string]string{one: a, other: b} {
		if v == "" {
			return "", "", fault.WithHint(fault.New(fault.Denied, "the variable %s is not set", name), "set it, for whoever runs vishwa or the controller")
		}
	}
	return a, b, nil
}

// secure is whom connections trust, and who we are to them.
func (o Options) secure(t schemas.KafkaTLS, brokers []string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}
	if t.CA != "" {
		if o.Tree == nil {
			return nil, fault.New(fault.Internal, "read %s: nothing says of which repository", t.CA)
		}
		pem, err := fs.ReadFile(o.Tree, t.CA)
		if err != nil {
			return nil, fault.WithHint(fault.New(fault.Missing, "read the authorities of the brokers: %w", err), "correct tls.ca, or add the file")
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fault.WithHint(fault.New(fault.Invalid, "%s holds no certificate", t.CA), "name a PEM file")
		}
	}
	if t.Certificate != "" {
		certificate, key, err := o.pair(t.Certificate, t.Key, brokers...)
		if err != nil {
			return nil, err
		}
		ours, err := tls.X509KeyPair([]byte(certificate), []byte(key))
		if err != nil { // which may quote what it read
			return nil, fault.WithHint(fault.New(fault.Invalid, "%s and %s hold no certificate with its private key", t.Certificate, t.Key), "set them to PEM")
		}
		config.Certificates = []tls.Certificate{ours}
	}
	return config, nil
}

func (s *stream) String() string { return "topic " + s.spec.Topic }

// SchemasUsed are the schemas of a registry that the fetched rows were read by.
func (s *stream) SchemasUsed() string { return s.schemas }

// Inspect asks where the partitions stand.
func (s *stream) Inspect(ctx context.Context) (port.Snapshot, error) {
	look, err := s.inspect(ctx)
	if err != nil {
		return port.Snapshot{}, fmt.Errorf("look at %s: %w", s, err)
	}
	return look, nil
}

func (s *stream) inspect(ctx context.Context) (look port.Snapshot, err error) {
	_, read, err := s.reader(ctx)
	if err != nil {
		return look, err
	}
	t, err := topic.Open(s.of)
	if err != nil {
		return look, err
	}
	defer t.Close()
	w := topic.Window{}
	w.From, w.Until = s.spec.Window()
	for _, p := range s.spec.Partitions {
		w.Partitions = append(w.Partitions, int32(p))
	}
	now, err := t.Look(ctx, w)
	if err != nil {
		return look, err
	}
	pin := pinned{id: now.ID, spans: now.Spans, read: read}
	if pin.records() == 0 {
		return look, fault.WithHint(fault.New(fault.Missing, "it holds no record that is asked for"), "wait until something is sent there, or choose other partitions or times")
	}
	files := []port.SourceFile{{Path: s.name(), Size: -1, Modified: now.Newest}}
	return s.o.snapshotOf(files, pin.String()), nil
}

// name is that of the one file.
func (s *stream) name() string { return strings.TrimLeft(s.spec.Topic, ".") + ".jsonl" }

// pinned is what a pin says of a topic.
type pinned struct {
	id    string // of the topic
	spans []topic.Span
	read  digest.Digest // how rows are made of records
}

func (p pinned) records() (n int64) {
	for _, s := range p.spans {
		n += s.To - s.From
	}
	return n
}

// String is the token: kafka:ID, PARTITION:FROM-TO of each with TO being the first that is not read,
// and how they are read.
func (p pinned) String() string {
	parts := []string{"kafka:" + p.id}
	for _, s := range p.spans {
		parts = append(parts, fmt.Sprintf("%d:%d-%d", s.Partition, s.From, s.To))
	}
	return strings.Join(append(parts, "as", string(p.read)), " ")
}

// parsePinned reads a token.
func parsePinned(token string) (p pinned, err error) {
	wrong := fault.WithHint(fault.New(fault.Invalid, "the pin names no range of a topic"), "run vishwa data refresh")
	parts := strings.Fields(token)
	if len(parts) < 3 || parts[len(parts)-2] != "as" {
		return p, wrong
	}
	id, ok := strings.CutPrefix(parts[0], "kafka:")
	if !ok {
		return p, wrong
	}
	p.id, p.read = id, digest.Digest(parts[len(parts)-1])
	last := int64(-1)
	for _, part := range parts[1 : len(parts)-2] {
		partition, rest, _ := strings.Cut(part, ":")
		from, to, _ := strings.Cut(rest, "-")
		var n [3]int64
		for i, text := range []string{partition, from, to} {
			if n[i], err = strconv.ParseInt(text, 10, 64); err != nil || n[i] < 0 {
				return p, wrong
			}
		}
		if n[0] <= last || n[0] > 1<<31-1 || n[2] < n[1] {
			return p, wrong
		}
		last = n[0]
		p.spans = append(p.spans, topic.Span{Partition: int32(n[0]), From: n[1], To: n[2]})
	}
	return p, nil
}

// reader makes rows of records, and has a name for how.
func (s *stream) reader(ctx context.Context) (*rowWriter, digest.Digest, error) {
	w := &rowWriter{metadata: s.spec.Metadata, raw: s.spec.Reads() == "raw"}
	var schema digest.Digest
	var err error
	format := messageschema.Format(s.spec.Reads())
	switch of := s.spec.Schema; {
	case w.raw:
	case of != nil && of.Registry != nil:
		o := messageschema.RegistryOptions{URL: of.Registry.URL, Allow: s.o.Allow, Format: format}
		if of.Registry.User != "" || of.Registry.Password != "" {
			if o.User, o.Password, err = s.o.pair(of.Registry.User, of.Registry.Password, of.Registry.URL); err != nil {
				return nil, "", err
			}
		}
		w.registry, err = messageschema.OpenRegistry(o)
	case format == messageschema.JSON:
		w.decoder = messageschema.OfJSON
	case of != nil && s.o.Tree != nil:
		w.decoder, schema, err = messageschema.FromFile(ctx, s.o.Tree, format, of.File, of.Message)
	default:
		err = fault.WithHint(fault.New(fault.Invalid, "nothing says by what schema %s is read", format), "give schema a file or a registry")
	}
	if err != nil {
		return nil, "", err
	}
	registry := ""
	if w.registry != nil {
		registry = s.spec.Schema.Registry.URL
	}
	read, err := digest.JSON([]any{s.spec.Topic, format, s.spec.Metadata, s.spec.Compacted, registry, schema})
	if err != nil {
		return nil, "", fault.New(fault.Internal, "name how a topic is read: %w", err)
	}
	return w, read, nil
}
