// A worker that cannot write its result says why where a cluster looks: it is the only one who knows.

package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/freeport"
)

// nobody is an address of this machine that nobody listens at.
func nobody(t *testing.T) string {
	t.Helper()
	at, err := freeport.Address("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestAStoreOutOfReachIsSaidFromWhereTheWorkerIs(t *testing.T) {
	at := nobody(t)
	l := &lent{client: http.DefaultClient, now: time.Now, sleep: func(context.Context, time.Duration) error { return nil }, tmp: t.TempDir()}
	_, err := l.document(t.Context(), Ticket{Version: Version, Document: Located{URL: "http://" + at + "/staging/launch.json?X-Amz-Signature=hush", SHA256: digest.Of(nil)}})
	if err == nil {
		t.Fatal("a document came of a store that is not there")
	}
	word := filepath.Join(t.TempDir(), "termination-log")
	if err := os.WriteFile(word, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	untold(&printed, word, err)
	want := "vishwa-worker: read the job's document: the worker cannot reach the store at " + at + ": dial tcp " + at + ": connect: connection refused: let what runs the job reach it\n"
	if raw, rerr := os.ReadFile(word); rerr != nil || string(raw) != want || printed.String() != want {
		t.Errorf("it says %q and prints %q, %v; want %q", raw, printed.String(), rerr, want)
	}
}

// TestWithoutAClusterNothingIsWritten: no file is made where there is none, and no link is followed.
func TestWithoutAClusterNothingIsWritten(t *testing.T) {
	dir := t.TempDir()
	kept, link := filepath.Join(dir, "kept"), filepath.Join(dir, "link")
	if err := os.WriteFile(kept, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kept, link); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{link, filepath.Join(dir, "none")} {
		untold(&bytes.Buffer{}, file, os.ErrPermission)
	}
	if raw, err := os.ReadFile(kept); err != nil || string(raw) != "kept" {
		t.Errorf("behind the link is %q, %v", raw, err)
	}
	if all, err := os.ReadDir(dir); err != nil || len(all) != 2 {
		t.Errorf("there are %v, %v", all, err)
	}
}

// TestAnImageThatCannotFetchTheWorkerSaysSo: the interpreter of the image is all there is then.
func TestAnImageThatCannotFetchTheWorkerSaysSo(t *testing.T) {
	at := nobody(t)
	located := Located{URL: "http://" + at + "/objects/worker?X-Amz-Signature=hush", SHA256: digest.Of(nil)}
	ticket, err := json.Marshal(Ticket{Version: Version, Worker: map[string]Located{"amd64": located, "arm64": located}})
	if err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{"in a pod": true, "elsewhere": false} {
		word := filepath.Join(t.TempDir(), "termination-log")
		if there {
			if err := os.WriteFile(word, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		program := "import time\ntime.sleep=lambda s: None\n" + strings.ReplaceAll(Bootstrap, terminationFile, word)
		cmd := exec.CommandContext(t.Context(), "python3", "-I", "-c", program)
		cmd.Env = []string{"VISHWA_TICKET=" + string(ticket), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
		out, err := cmd.CombinedOutput()
		want := "vishwa: the worker cannot be fetched from the store at " + at + ": URLError: [Errno 111] Connection refused"
		if err == nil || strings.TrimSpace(string(out)) != want {
			t.Errorf("%s: it prints %q, %v; want %q", name, out, err, want)
		}
		raw, err := os.ReadFile(word)
		if there && string(raw) != want || !there && err == nil {
			t.Errorf("%s: it says %q, %v", name, raw, err)
		}
	}
}
