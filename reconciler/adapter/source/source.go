// Package source takes data in from where others keep it: a file or folder of the
// repository, a web server, S3, a Kafka topic, what Airflow announces, what DVC keeps here or in another repository, and what
// a deployment logs.
// Each place is looked at without reading it, and read against what was seen.
package source

import (
	"context"
	"crypto/x509"
	"io/fs"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/format/dvc"
	"github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/download"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// Options are what a source may know of the world.
type Options struct {
	Env  port.Env
	Tree fs.FS  // the repository at the revision: for path and dvc, and for the files that kafka names
	Last string // the token that was last taken in; "" for none
	Jobs int    // files or pieces that are read at once; zero is 16

	// Allow lists the hosts and networks (names, addresses, CIDRs) that may be read
	// over HTTP although they are private.
	Allow []string
	// Roots are the authorities that HTTPS servers are checked against; nil is the system's.
	Roots *x509.CertPool

	// Pace is how fast a web server has to answer; zero is as usual.
	Pace dial.Pace

	// Clone opens another repository at a revision, "" being its default branch, and
	// tells its commit.
	Clone func(ctx context.Context, url, rev string) (tree fs.FS, commit string, err error)
	// Remote opens a remote of a repository's DVC configuration; "" is its default.
	Remote func(ctx context.Context, config *dvc.Config, name string) (port.Objects, error)
	// Bucket opens a bucket, whose keys are whole; nil is S3 itself.
	Bucket func(s schemas.S3) (port.Objects, error)
	// Log opens the log of a deployment: the objects, and the prefix of their keys. Rows before from
	// are not asked for; zero: all are.
	Log func(deployment schemas.Ref, from time.Time) (log port.Objects, prefix string, err error)
	// Dataset opens the source of another dataset, and tells how it is read.
	Dataset func(ref schemas.Ref) (port.Source, schemas.Format, error)
}

func (o Options) jobs() int {
	if o.Jobs > 0 {
		return o.Jobs
	}
	return 16
}

// pace gives up who sends by the byte.
func (o Options) pace() dial.Pace {
	if o.Pace == (dial.Pace{}) {
		return dial.Pace{Window: download.Stall, Least: 1000}
	}
	return o.Pace
}

func (o Options) snapshotOf(files []port.SourceFile, token string) port.Snapshot {
	return port.Snapshot{Changed: token != o.Last, Files: files, Token: token}
}

// variable is the value of one that is sent to all of these addresses.
func (o Options) variable(name string, to ...string) (string, error) {
	for _, address := range to {
		if err := o.Env.MaySend(name, address); err != nil {
			return "", err
		}
	}
	if o.Env.Lookup == nil {
		return "", nil
	}
	v, _ := o.Env.Lookup(name)
	return v, nil
}

// Open makes ready to read src. Nothing is asked of the place yet.
func Open(src schemas.DataSource, o Options) (port.Source, error) {
	switch {
	case src.Path != "":
		return openPath(src.Path, o)
	case src.HTTP != nil:
		return openWeb(*src.HTTP, o)
	case src.S3 != nil:
		return openObjects(*src.S3, o)
	case src.Kafka != nil:
		return openTopic(*src.Kafka, o)
	case src.Airflow != nil:
		return openAnnounced(*src.Airflow, o)
	case src.DVC != nil:
		return openTracked(*src.DVC, o)
	case src.Predictions != nil:
		return openLogged(*src.Predictions, o)
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "the source says nowhere that data is"), "give it one of path, dvc, http, s3, kafka, airflow and predictions")
}
