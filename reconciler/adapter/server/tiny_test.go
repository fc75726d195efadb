// The test binary is three programs: the tests, the serving host that they begin, and another vishwa apply. What the host serves is
// a tiny server of the Open Inference Protocol, built once.

package server

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/built"
)

func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "host":
		if err := Host(context.Background(), os.Args[2], os.Args[3], testEnv(), nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) == 3 && os.Args[1] == "apply":
		if err := applyElsewhere(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	case len(os.Args) == 3 && os.Args[1] == "stock":
		fmt.Fprintln(os.Stderr, stock(os.Args[2]))
		os.Exit(1)
	}
	code := m.Run()
	built.Forget()
	os.Exit(code)
}

func testEnv() port.Env {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return port.Env{Now: time.Now, Log: slog.New(slog.DiscardHandler), Lookup: os.LookupEnv, Self: self}
}

// shout speaks the upgraded protocol of /upgrade.
func shout(t *testing.T, addr string) (say func(string) string, hangUp func()) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(c, "GET /upgrade HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\n", addr)
	in := bufio.NewReader(c)
	a, err := http.ReadResponse(in, nil)
	if err != nil || a.StatusCode != http.StatusSwitchingProtocols || a.Header.Get(HeaderRelease) == "" {
		t.Fatalf("upgrade: %v %+v", err, a)
	}
	return func(s string) string {
		fmt.Fprintln(c, s)
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		line, err := in.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		return strings.TrimSpace(line)
	}, func() { c.Close() }
}
