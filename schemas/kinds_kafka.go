// Data that is in a Kafka topic: a range of each of its partitions.

package schemas

import (
	"net"
	"strings"
	"time"
)

// Kafka is what a topic holds: one row a record, by partition and then by offset. Records of transactions that were given up, and those that are open, are no rows.
type Kafka struct {
	// Brokers are those that are asked first, each as host:port.
	Brokers []string `json:"brokers" jsonschema:"required,minItems=1,maxItems=32" part:"key"`
	// Topic is its name.
	Topic string `json:"topic" jsonschema:"required,pattern=^[A-Za-z0-9._-]+$,maxLength=249" part:"key"`
	// Format says what a record's value is: json is an object, avro and protobuf are read by a schema, raw is any bytes.
	Format string `json:"format,omitempty" jsonschema:"enum=json,enum=avro,enum=protobuf,enum=raw,default=json" part:"key"`
	// Schema says by what avro and protobuf are read.
	Schema *MessageSchema `json:"schema,omitempty" part:"key"`
	// Partitions are those that are read; without it, all.
	Partitions []int `json:"partitions,omitempty" jsonschema:"minimum=0" part:"key"`
	// From is the time of the oldest record that is read: a date or a time of RFC 3339; without it, the oldest that is there.
	From string `json:"from,omitempty" part:"key"`
	// Until is the time before which records are read; without it, all that is there.
	Until string `json:"until,omitempty" part:"key"`
	// Metadata adds the record's own fields to each row, as kafka.partition, kafka.offset, kafka.time and kafka.key.
	Metadata bool `json:"metadata,omitempty" part:"key"`
	// Compacted takes a range from which compaction has removed records; without it, that is refused.
	Compacted bool `json:"compacted,omitempty" part:"key"`
	// TLS encrypts the connections, and proves who the brokers are.
	TLS *KafkaTLS `json:"tls,omitempty" part:"key"`
	// SASL signs in by a name and a password.
	SASL *KafkaSASL `json:"sasl,omitempty" part:"key"`
}

// MessageSchema is where the schema of messages is: a file of the repository, or a registry.
type MessageSchema struct {
	// File is the schema: an .avsc file for avro, a .proto file for protobuf.
	File string `json:"file,omitempty" part:"key"`
	// Message is the message of a .proto file, with its package; without it, the first one.
	Message string `json:"message,omitempty" part:"key"`
	// Registry is a schema registry; each value begins with the id of its schema there.
	Registry *SchemaRegistry `json:"registry,omitempty" part:"key"`
}

// SchemaRegistry is a registry that answers as Confluent's does.
type SchemaRegistry struct {
	// URL is its address.
	URL string `json:"url" jsonschema:"required,pattern=^https?://" part:"key"`
	// User names the variable that holds who asks, and Password the one with the password.
	User     string `json:"user,omitempty" jsonschema:"pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
	Password string `json:"password,omitempty" jsonschema:"pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
}

// KafkaTLS says whom connections trust, and who we are to them.
type KafkaTLS struct {
	// CA is a PEM file of the repository with the authorities that sign the brokers' certificates; without it, the machine's.
	CA string `json:"ca,omitempty" part:"key"`
	// Certificate names the variable that holds our certificate as PEM, and Key the one with its private key; without them, we show none.
	Certificate string `json:"certificate,omitempty" jsonschema:"pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
	Key         string `json:"key,omitempty" jsonschema:"pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
}

// KafkaSASL is a name and a password, each by the variable that holds it.
type KafkaSASL struct {
	// Mechanism is how they are shown; plain sends the password itself, and so needs tls.
	Mechanism string `json:"mechanism" jsonschema:"required,enum=plain,enum=scram-sha-256,enum=scram-sha-512" part:"key"`
	// User names the variable that holds the name. Variables of other names are not a declaration's to send.
	User string `json:"user" jsonschema:"required,pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
	// Password names the variable that holds the password.
	Password string `json:"password" jsonschema:"required,pattern=^VISHWA_SOURCE_[A-Z0-9_]+$" part:"key"`
}

// Window is the time that From and Until say; zero where they say none.
func (k Kafka) Window() (from, until time.Time) {
	from, _ = moment(k.From)
	until, _ = moment(k.Until)
	return from, until
}

// moment reads a date or a time.
func moment(s string) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Reads is the format of the values.
func (k Kafka) Reads() string {
	if k.Format == "" {
		return "json"
	}
	return k.Format
}

// check reports what a schema cannot say of it.
func (k *Kafka) check(c *checker, d *document, field string) {
	if k == nil {
		return
	}
	checkBrokers(d, field, k.Brokers)
	for _, at := range []struct{ name, value string }{{"from", k.From}, {"until", k.Until}} {
		if _, ok := moment(at.value); at.value != "" && !ok {
			d.problem(field+"."+at.name, "%s is neither a date nor a time; write one such as 2026-11-28 or 2026-11-28T12:00:00Z", short(at.value))
		}
	}
	if from, until := k.Window(); !from.IsZero() && !until.IsZero() && !from.Before(until) {
		d.problem(field+".until", "is not after from, so that nothing can be between them; swap them")
	}
	checkLogin(d, field, k.SASL, k.TLS != nil)
	if t := k.TLS; t != nil {
		c.path(d, field+".tls.ca", t.CA, file)
		checkPair(d, field+".tls", t.Certificate, t.Key)
	}
	if k.Metadata && k.Reads() == "raw" {
		d.problem(field+".metadata", "adds what raw rows have already; remove it")
	}
	k.checkSchema(c, d, field+".schema")
}

func checkBrokers(d *document, field string, brokers []string) {
	for _, b := range brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" || strings.ContainsAny(b, "@/ ") {
			d.problem(field+".brokers", "%s is not an address of a broker; write host:port", short(b))
		}
	}
}

func checkLogin(d *document, field string, s *KafkaSASL, encrypted bool) {
	if s != nil && s.Mechanism == "plain" && !encrypted {
		d.problem(field+".sasl.mechanism", "plain would send the password for everybody on the way to read; add tls: {}, or use scram-sha-512")
	}
}

func checkPair(d *document, field, certificate, key string) {
	if (certificate == "") != (key == "") {
		d.problem(field, "has one of certificate and key; give both, or remove it")
	}
}

func (k *Kafka) checkSchema(c *checker, d *document, field string) {
	s, needs := k.Schema, k.Reads() == "avro" || k.Reads() == "protobuf"
	switch {
	case s == nil && needs:
		d.problem(strings.TrimSuffix(field, ".schema"), "is %s, and nothing says by what schema; add schema: {file: FILE} or schema: {registry: {url: ADDRESS}}", k.Reads())
	case s == nil:
	case k.Reads() == "raw":
		d.problem(field, "is not used: raw values are taken as they are; remove it")
	case (s.File == "") == (s.Registry == nil):
		d.problem(field, "is in one place; give one of file and registry")
	case s.File != "" && !needs:
		d.problem(field+".file", "is not used: json is read without one; remove it")
	case s.Message != "" && (s.File == "" || k.Reads() != "protobuf"):
		d.problem(field+".message", "names a message of a .proto file, and there is none; remove it")
	}
	if s == nil {
		return
	}
	c.path(d, field+".file", s.File, file)
	if s.Registry == nil {
		return
	}
	withoutCredential(d, field+".registry.url", s.Registry.URL, "name the variables in user and password")
}
