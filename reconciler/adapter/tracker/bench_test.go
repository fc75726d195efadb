// What it takes to show runs and files of models in MLflow, next to MLflow's own client on the same server.

package tracker

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/vishwaops/vishwa/reconciler/adapter/tracker/mlflowtest"
	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/beside"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/schemas"
)

// benched is a real server of MLflow whose artifacts are in a real MinIO.
type benched struct {
	b                   *testing.B
	venv, url, endpoint string
	store               *minio.Client
	n                   int // of works so far: each has an experiment of its own
}

// emptied takes away what the works so far have put: many large models would need a large disk.
func (s *benched) emptied() {
	for o := range s.store.ListObjects(s.b.Context(), "mlflow", minio.ListObjectsOptions{Recursive: true}) {
		if o.Err == nil {
			o.Err = s.store.RemoveObject(s.b.Context(), "mlflow", o.Key, minio.RemoveObjectOptions{})
		}
		if o.Err != nil {
			s.b.Fatal(o.Err)
		}
	}
}

func newBenched(b *testing.B) *benched {
	venv := os.Getenv("VISHWA_MLFLOW")
	if venv == "" {
		b.Fatal("VISHWA_MLFLOW names no environment with MLflow: make bench-mlflow makes one")
	}
	s := &benched{b: b, venv: venv, endpoint: peers.MinIO(b)}
	c, err := minio.New(strings.TrimPrefix(s.endpoint, "http://"), &minio.Options{Creds: credentials.NewStaticV4("minioadmin", "minioadmin", "")})
	if err == nil {
		err = c.MakeBucket(b.Context(), "mlflow", minio.MakeBucketOptions{})
	}
	if err != nil {
		b.Fatal(err)
	}
	s.store = c
	s.url, _ = mlflowtest.Start(b, venv, "--default-artifact-root", "s3://mlflow/root", "--no-serve-artifacts")
	version, err := exec.Command(filepath.Join(venv, "bin", "mlflow"), "--version").Output()
	if err != nil {
		b.Fatal(err)
	}
	beside.Says("mlflow", strings.TrimPrefix(string(version), "mlflow, version "))
	return s
}

// client is MLflow's own, which measures its work alone: not that Python begins, nor that packages are imported.
func (s *benched) client(name, script string, args ...string) beside.Side {
	return beside.Side{Name: name, Before: s.emptied, Run: func() beside.Cost {
		s.n++
		cmd := exec.Command(filepath.Join(s.venv, "bin", "python"), append([]string{"-c", around[0] + script + around[1], s.url, fmt.Sprint("theirs-", s.n)}, args...)...)
		cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID=minioadmin", "AWS_SECRET_ACCESS_KEY=minioadmin", "MLFLOW_S3_ENDPOINT_URL="+s.endpoint, "MLFLOW_DISABLE_TELEMETRY=true")
		cmd.Stderr = os.Stderr
		out, err := cmd.Output()
		if err != nil {
			s.b.Fatal(err)
		}
		var took struct{ Wall, CPU, Peak float64 }
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-1]), &took); err != nil {
			s.b.Fatalf("%v: %s", err, out)
		}
		return beside.Cost{Wall: time.Duration(took.Wall * 1e9), CPU: time.Duration(took.CPU * 1e9), Peak: int64(took.Peak)}
	}}
}

var around = [2]string{`
import json, os, resource, sys, time
import boto3, mlflow
from mlflow.entities import Metric, Param
c = mlflow.MlflowClient(sys.argv[1])
experiment = c.create_experiment(sys.argv[2])
w, p = time.monotonic(), time.process_time()
`, `
print(json.dumps({"Wall": time.monotonic() - w, "CPU": time.process_time() - p, "Peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
`}

func (s *benched) tracker(models bool) port.Tracker {
	s.n++
	spec := schemas.MLflowTracker{URL: s.url, Experiment: fmt.Sprint("ours-", s.n)}
	if models {
		spec.Models = &schemas.S3{URL: "s3://mlflow/root", Endpoint: s.endpoint}
	}
	return MLflow(spec, Options{Own: own, Env: env(map[string]string{"AWS_ACCESS_KEY_ID": "minioadmin", "AWS_SECRET_ACCESS_KEY": "minioadmin"}), Writer: "bench"})
}

// ours is a recording of p by a tracker that knows nothing of it.
func (s *benched) ours(models bool, p func(n int) port.Projection) beside.Side {
	var t port.Tracker
	return beside.Side{Name: "vishwa", Before: func() { s.emptied(); t = s.tracker(models) }, Run: func() beside.Cost {
		return beside.Self(func() {
			if r, err := t.Record(s.b.Context(), p(s.n), false); err != nil || r.Writes == 0 {
				s.b.Fatal(r, err)
			}
		})
	}}
}

func BenchmarkMLflowBeside(b *testing.B) {
	s := newBenched(b)
	b.Run("mlflow-record", func(b *testing.B) { s.recordRow(b) })
	b.Run("mlflow-push", func(b *testing.B) { s.pushRow(b) })
}

// recordRow is runs with the courses of their metrics, by log-batch on both sides.
func (s *benched) recordRow(b *testing.B) {
	s.b = b
	const metrics, steps = 50, 20
	runs := beside.Size(100)
	at := time.UnixMilli(1.75e12)
	var series []port.TrackerSeries
	for i := range metrics {
		c := port.TrackerSeries{Name: fmt.Sprint("m", i)}
		for k := range int64(steps) {
			c.Steps, c.Times, c.Values = append(c.Steps, k), append(c.Times, at.UnixMilli()+k), append(c.Values, float64(k))
		}
		series = append(series, c)
	}
	ours := s.ours(false, func(n int) (p port.Projection) {
		p.Ledger = digest.Of(fmt.Append(nil, "ledger", n)).Hex()
		for i := range runs {
			p.Runs = append(p.Runs, port.TrackerRun{Key: digest.Of(fmt.Append(nil, n, i)), Name: fmt.Sprint("run ", i), Started: at, Finished: at.Add(time.Second), Params: map[string]string{"depth": fmt.Sprint(i)},
				Logged: func(context.Context) (port.TrackerLog, error) { return port.TrackerLog{Series: series}, nil }})
		}
		return p
	})
	theirs := s.client("mlflow's client", `
for i in range(int(sys.argv[3])):
    r = c.create_run(experiment, run_name=f"run {i}").info.run_id
    c.log_batch(r, [Metric(f"m{j}", float(k), 1750000000000 + k, k) for j in range(50) for k in range(20)], [Param("depth", str(i))])
    c.set_terminated(r)
`, fmt.Sprint(runs))
	ours.Goals, theirs.Goals = nil, map[string]float64{"cpu-ratio": 10, "wall-ratio": 0.95}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("record %d runs of %d metrics with %d steps", runs, metrics, steps), Ours: ours, Others: []beside.Side{theirs}, Asks: beside.Serving(s.url)})
}

// pushRow is one large file as a model.
func (s *benched) pushRow(b *testing.B) {
	s.b = b
	size := int64(beside.Size(2000)) * 1e6
	dir := b.TempDir()
	file := filepath.Join(dir, "model.bin")
	f, err := os.Create(file)
	if err != nil {
		b.Fatal(err)
	}
	is, _, err := digest.Reader(io.TeeReader(io.LimitReader(rand.NewChaCha8([32]byte{1}), size), f))
	if err != nil {
		b.Fatal(err)
	}
	f.Close()
	ours := s.ours(true, func(n int) port.Projection {
		key := digest.Of(fmt.Append(nil, "model", n))
		return port.Projection{Ledger: key.Hex(), Models: []port.TrackerModel{{Name: fmt.Sprint("m", n), Versions: []port.TrackerVersion{{Key: key, Digest: is, Model: port.Artifact{Name: "model.bin", Digest: is, Size: size}}}}},
			Content: func(context.Context, digest.Digest) (io.ReadCloser, error) { return os.Open(file) }}
	})
	ours.Goals = map[string]float64{"peak-MiB": 128}
	theirs := s.client("mlflow's client", `
m = c.create_logged_model(experiment, name="model")
c.log_model_artifacts(m.model_id, sys.argv[3])
c.finalize_logged_model(m.model_id, "READY")
`, dir)
	theirs.Goals = map[string]float64{"wall-ratio": 2}
	bare := beside.Side{Name: "the server alone", Before: s.emptied, Run: func() beside.Cost {
		return beside.Self(func() { s.bare(file, size) })
	}}
	beside.Compare(b, beside.Case{Work: fmt.Sprintf("a model of %d MB as a LoggedModel into MinIO", size/1e6), Ours: ours, Others: []beside.Side{theirs, bare}, Asks: beside.Serving(s.endpoint)})
}

// bare puts a file in parts of 16 MiB over four connections, and does the least that a client can: each part is handed from the file to the connection by
// the kernel, and neither signed nor summed. What it takes is what the server does.
func (s *benched) bare(file string, size int64) {
	const each = 16 << 20
	core, ctx := minio.Core{Client: s.store}, s.b.Context()
	id, err := core.NewMultipartUpload(ctx, "mlflow", "bare", minio.PutObjectOptions{})
	if err != nil {
		s.b.Fatal(err)
	}
	parts := make([]minio.CompletePart, (size+each-1)/each)
	var next atomic.Int64
	var g errgroup.Group
	for range 4 {
		g.Go(func() error {
			in, err := os.Open(file)
			if err != nil {
				return err
			}
			defer in.Close()
			line, err := net.Dial("tcp", s.store.EndpointURL().Host)
			if err != nil {
				return err
			}
			defer line.Close()
			answers := bufio.NewReader(line)
			for i := next.Add(1) - 1; i < int64(len(parts)); i = next.Add(1) - 1 {
				u, err := s.store.Presign(ctx, http.MethodPut, "mlflow", "bare", time.Hour, url.Values{"partNumber": {fmt.Sprint(i + 1)}, "uploadId": {id}})
				if err == nil {
					_, err = in.Seek(i*each, io.SeekStart)
				}
				n := min(each, size-i*each)
				if err == nil {
					_, err = fmt.Fprintf(line, "PUT %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", u.RequestURI(), u.Host, n)
				}
				if err == nil {
					_, err = io.CopyN(line, in, n)
				}
				if err != nil {
					return err
				}
				r, err := http.ReadResponse(answers, nil)
				if err != nil {
					return err
				}
				if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != http.StatusOK {
					return fmt.Errorf("part %d: %s, %w", i+1, r.Status, err)
				}
				parts[i] = minio.CompletePart{PartNumber: int(i + 1), ETag: strings.Trim(r.Header.Get("ETag"), `"`)}
			}
			return nil
		})
	}
	if err = g.Wait(); err == nil {
		_, err = core.CompleteMultipartUpload(ctx, "mlflow", "bare", id, parts, minio.PutObjectOptions{})
	}
	if err != nil {
		s.b.Fatal(err)
	}
}
