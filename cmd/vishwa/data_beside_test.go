// vishwa data add while others are at work on the same data: no pointer is ever wrong.

package main

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestTwoAddsOfOneFolderTakeTurns: both come to the same, in whatever order.
func TestTwoAddsOfOneFolderTakeTurns(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	var both sync.WaitGroup
	said := make([]string, 4)
	for i := range said {
		both.Go(func() {
			out, err := y.command("add", "data").CombinedOutput()
			if err != nil {
				t.Errorf("add: %v\n%s", err, out)
			}
			said[i], _, _ = strings.Cut(string(out[bytes.Index(out, []byte("data: ")):]), ";")
		})
	}
	both.Wait()
	for _, s := range said[1:] {
		if s != said[0] {
			t.Errorf("one says %q, another %q", said[0], s)
		}
	}
	if got := y.run("status"); !strings.Contains(got, "up to date") {
		t.Error(got)
	}
	if left := y.drafts(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// TestDataThatMovesUnderTheAdd: what is added of files that are replaced meanwhile is, file
// by file, what stood there at some moment; or the add says that it cannot be done.
func TestDataThatMovesUnderTheAdd(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	const size = 3 << 20
	y.file("moving/new/none", "")
	put := func(name string, letter byte) {
		tmp := filepath.Join(y.root, "draft-"+name)
		if err := os.WriteFile(tmp, bytes.Repeat([]byte{letter}, size), 0o644); err != nil {
			t.Error(err)
		}
		if err := os.Rename(tmp, filepath.Join(y.root, "moving", name)); err != nil {
			t.Error(err)
		}
	}
	put("a", 'a')
	put("b", 'a')
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ; i++ {
			select {
			case <-end:
				return
			default:
				put("a", 'a'+byte(i%26))
				put("b", 'a'+byte(i%26))
			}
		}
	}()
	added := 0
	for range 6 {
		out, err := y.command("add", "moving").CombinedOutput()
		switch {
		case err == nil:
			added++
		case !bytes.Contains(out, []byte("keeps changing")) && !bytes.Contains(out, []byte("went while")):
			t.Errorf("add: %v\n%s", err, out)
		}
	}
	close(end)
	<-ended
	y.run("add", "moving")
	y.gone("repo/moving")
	y.run("checkout", "moving")
	for _, name := range []string{"a", "b"} {
		b, err := os.ReadFile(filepath.Join(y.root, "moving", name))
		if err != nil || len(b) != size || bytes.Count(b, b[:1]) != size {
			t.Errorf("%s: %d bytes of more than one moment (%v)", name, len(b), err)
		}
	}
	t.Logf("%d of 6 adds were done", added)
}

// TestSizeOfASparseTerabyteIsToldFirst, and an interrupt ends it at once and leaves nothing.
func TestSizeOfASparseTerabyteIsToldFirst(t *testing.T) {
	y := newYard(t)
	y.file("huge.bin", "")
	if err := os.Truncate(filepath.Join(y.root, "huge.bin"), 1<<40); err != nil {
		t.Skipf("this file system makes no file of a terabyte: %v", err)
	}
	cmd := y.command("add", "huge.bin")
	said, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(said).ReadString('\n')
	began := time.Now()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("an interrupted add says that it is done")
	}
	if !strings.Contains(line, "adding huge.bin: 1 file, 1024.0 GiB") {
		t.Errorf("it says %q first", line)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it ended %s after the interrupt", took)
	}
	if left := y.drafts(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	if _, err := os.Stat(filepath.Join(y.root, "huge.bin.dvc")); err == nil {
		t.Error("there is a pointer to it")
	}
}

// TestRemoteWithoutPermissionIsTold, of S3: no key, no query and no secret with it.
func TestRemoteWithoutPermissionIsTold(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>")
	}))
	defer closed.Close()
	y := newYard(t)
	y.run("add", "one.csv")
	y.run("remote", "add", "closed", "s3://bucket/prefix")
	y.run("remote", "modify", "closed", "endpointurl", closed.URL)
	for _, verb := range []string{"push", "fetch"} {
		y.gone("state")
		if verb == "fetch" {
			y.gone("repo/.dvc/cache")
		}
		cmd := y.command(verb, "-r", "closed")
		cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID=someone", "AWS_SECRET_ACCESS_KEY=hush-hush", "AWS_REGION=us-east-1")
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(strings.ToLower(string(out)), "denied") || bytes.Contains(out, []byte("hush-hush")) || bytes.Contains(out, []byte("X-Amz")) {
			t.Errorf("%s: %v\n%s", verb, err, out)
		}
	}
}
