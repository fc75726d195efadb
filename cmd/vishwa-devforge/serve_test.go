// The serving program: it says where it is, answers there, and ends when told to.

package main

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

func TestServeSaysWhereAndEndsWhenTold(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, w := io.Pipe()
	a := &app{out: w, err: io.Discard, now: time.Now, lookup: func(string) (string, bool) { return "", false }}
	root := a.root()
	root.SetArgs([]string{"serve", "--dir", t.TempDir(), "--listen", "127.0.0.1:0"})
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := strings.Fields(line)[2]
	var said strings.Builder
	b := &app{out: &said, err: io.Discard, now: time.Now, lookup: a.lookup}
	other := b.root()
	other.SetArgs([]string{"--url", url, "repo", "acme/models"})
	if err := other.ExecuteContext(ctx); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(said.String(), url+"/acme/models.git\n") {
		t.Errorf("repo printed %q", said.String())
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("serve ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("serve does not end")
	}
}
