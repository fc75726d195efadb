package main

import (
	"fmt"
	"strings"
	"testing"
)

// TestHealthChecksDoNotHideALog: those that were answered are left out and counted, whatever program wrote them and however it came; nothing else is.
func TestHealthChecksDoNotHideALog(t *testing.T) {
	const text = `listening
127.0.0.1 - - [30/Nov/2026 23:41:16] "GET /v2/health/ready HTTP/1.1" 200 -
INFO:     127.0.0.1:41234 - "GET /ping HTTP/1.1" 200 OK
127.0.0.1 - - [30/Nov/2026 23:41:17] "GET /v2/health/ready HTTP/1.1" 503 -
127.0.0.1 - - [30/Nov/2026 23:41:18] "GET /ping?x=1 HTTP/1.1" 200 -
127.0.0.1 - - [30/Nov/2026 23:41:18] "POST /v2/models/price/infer HTTP/1.1" 200 -

no end`
	want := strings.Join(append(strings.Split(text, "\n")[:1], strings.Split(text, "\n")[3:]...), "\n")
	for _, size := range []int{1, 7, len(text)} {
		var out strings.Builder
		q := &withoutChecks{w: &out, checks: checksOf([]string{"/v2/health/ready", "/ping"})}
		for at := 0; at < len(text); at += size {
			fmt.Fprint(q, text[at:min(at+size, len(text))])
		}
		if err := q.end(); err != nil || out.String() != want || q.left != 2 {
			t.Errorf("by %d: %v, %d left out: %q", size, err, q.left, out.String())
		}
	}
	var out strings.Builder
	q := &withoutChecks{w: &out, checks: checksOf([]string{"/ping"})}
	long := strings.Repeat("x", 3*mostHeld) + ` "GET /ping HTTP/1.1" 200` + "\nafter\n"
	fmt.Fprint(q, long[:2*mostHeld])
	if out.Len() == 0 {
		t.Error("a long line is held")
	}
	fmt.Fprint(q, long[2*mostHeld:])
	if err := q.end(); err != nil || out.String() != long {
		t.Errorf("a long line is not passed on whole: %v, %d bytes of %d", err, out.Len(), len(long))
	}
}
