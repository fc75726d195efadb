// Package dispatch is what a runner hands to a worker elsewhere, and what comes back: the
// ticket that begins it, the document of its job, the objects that it writes below a prefix
// of its own, and the result manifest that it writes as the very last. Work is the worker.
//
//	launch.json           the Document, written by the runner
//	status.json           a Status, when the command begins
//	log/<offset>          pieces of the log: 20 digits, the offset of the piece's first byte
//	renewal.<n>.json      a Renewal, sealed: written by the runner while the command runs
//	objects/<64 hex>      content by its SHA-256; larger than a part: <64 hex>.<n>, from 0
//	result.json           the Manifest
package dispatch

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/work"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// Version is that of all formats here.
const Version = 1

// PartSize is how many bytes of an object are written at once; a larger object is written in
// parts of this size. Who writes and who reads have to have the same. S3 takes 5 GiB in one post.
const PartSize Part = 1 << 30

// Part is a size of parts, in bytes; zero is PartSize.
type Part int64

// The names of what lies below the prefix.
const (
	DocumentName = "launch.json"
	StatusName   = "status.json"
	ResultName   = "result.json"
	LogPrefix    = "log/"
	objectPrefix = "objects/"
)

// mostDocument bounds what is read of a document or a manifest, in bytes.
const mostDocument = 256 << 20

// LogName is the name of the piece of the log that begins at offset, in bytes.
func LogName(offset int64) string { return fmt.Sprintf("%s%020d", LogPrefix, offset) }

// size is p, or what it stands for.
func (p Part) size() int64 { return int64(cmp.Or(p, PartSize)) }

// name is that of part n of an object of size bytes.
func (p Part) name(d digest.Digest, size int64, n int) string {
	if size <= p.size() {
		return objectPrefix + d.Hex()
	}
	return fmt.Sprintf("%s%s.%d", objectPrefix, d.Hex(), n)
}

// count is how many parts an object of size bytes has.
func (p Part) count(size int64) int { return int(max(1, (size+p.size()-1)/p.size())) }

// Ticket begins a worker. Whoever has it can read what the job reads, and write its result.
type Ticket struct {
	Version  int     `json:"version"`
	Document Located `json:"document"`
	// Worker is where a bootstrap without a worker fetches one, by GOARCH.
	Worker map[string]Located `json:"worker,omitempty"`
}

// Located is content, and where it is read.
type Located struct {
	URL    string        `json:"url"`
	SHA256 digest.Digest `json:"sha256"`
}

// Document is a job as a worker gets it.
type Document struct {
	Version int    `json:"version"`
	Program string `json:"program"` // which vishwa wrote it, for people
	// Job names Order.Job, and Nonce this launch of it: a result that does not say both is
	// of something else.
	Job   digest.Digest `json:"job"`
	Nonce string        `json:"nonce"`
	Order work.Order    `json:"order"`
	// Packs are environments as sandbox.Pack writes them, by the kind of machine.
	Packs map[string]digest.Digest `json:"packs,omitempty"`
	// Read is where content is read, by its name.
	Read  map[digest.Digest]string `json:"read"`
	Write port.WriteGrant          `json:"write"`
	// Guard keeps the command to public addresses, behind whatever name it declares.
	Guard *Guard    `json:"guard,omitempty"`
	Until time.Time `json:"until"` // of what is lent
	// Next is where the first Renewal of that will be read; "" is never.
	Next string `json:"next,omitempty"`
}

// Guard is what the controller's owner says of the hosts that code which nobody reviewed may
// reach: those that its base declares, at public addresses, and private ones that Allow lists.
type Guard struct {
	Allow []string `json:"allow,omitempty"` // as of dial.NewGuard
}

// Status says that the command has begun.
type Status struct {
	Version int       `json:"version"`
	Started time.Time `json:"started"`
}

// Manifest is how a job ended, with everything that it made by name.
type Manifest struct {
	Version int           `json:"version"`
	Program string        `json:"program"`
	Job     digest.Digest `json:"job"`
	Nonce   string        `json:"nonce"`
	Result  port.Result   `json:"result"`
	// Made has the size of each object that was written, in bytes.
	Made map[digest.Digest]int64 `json:"made"`
}

// JobDigest names a job.
func JobDigest(job port.Job) (digest.Digest, error) { return digest.JSON(job) }

// read decodes one of the formats, of this version alone.
func decode[T any](what string, raw []byte, version func(*T) int) (T, error) {
	var v T
	if err := json.Unmarshal(raw, &v); err != nil {
		return v, fault.New(fault.Corrupt, "read %s: %w", what, err)
	}
	if n := version(&v); n != Version {
		return v, fault.WithHint(fault.New(fault.Invalid, "the %s is of version %d, and what is read here is version %d", what, n, Version),
			"run the worker and the controller at one version of vishwa")
	}
	return v, nil
}

// ReadTicket reads a ticket.
func ReadTicket(raw []byte) (Ticket, error) {
	return decode("ticket", raw, func(t *Ticket) int { return t.Version })
}

// ReadDocument reads the document that a ticket names.
func ReadDocument(raw []byte) (Document, error) {
	d, err := decode("job's document", raw, func(d *Document) int { return d.Version })
	if err != nil {
		return d, err
	}
	if job, err := JobDigest(d.Order.Job); err != nil || job != d.Job {
		return d, fault.New(fault.Corrupt, "the job's document holds another job than it names")
	}
	return d, nil
}

// ReadManifest reads the result of the launch of job that only nonce knows.
func ReadManifest(raw []byte, job digest.Digest, nonce string) (Manifest, error) {
	m, err := decode("result", raw, func(m *Manifest) int { return m.Version })
	if err != nil {
		return m, err
	}
	if m.Job != job || m.Nonce != nonce {
		return m, fault.WithHint(fault.New(fault.Corrupt, "the result is of another run"), "vishwa retry has it run again; if it stays, find out who else may write to the store")
	}
	return m, nil
}
