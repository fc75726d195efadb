// Pickles against the real unpicklers: whatever CPython follows as far as a call, the
// scan follows too.

package model

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// unpicklers asks both of CPython's unpicklers, and one that has what torch and joblib
// add, which of the lines on its input they follow as far as a call of what they
// imported. Importing and calling do nothing there.
const unpicklers = `
import io, pickle, sys
class Called(BaseException): pass
class Meta(type):
    def __call__(cls, *a, **k): raise Called
class Stub(metaclass=Meta):
    def __new__(cls, *a, **k): raise Called
def touched(*a, **k): raise Called
class Thing:
    append = extend = add = __setitem__ = __setstate__ = __call__ = touched
def found(self, module, name):
    if name.startswith("thing"): return Thing()
    return Stub
class C(pickle.Unpickler):
    find_class = found
class P(pickle._Unpickler):
    find_class = found
class T(pickle.Unpickler):
    find_class = found
    def persistent_load(self, pid): return 1
for text in sys.stdin:
    raw = bytes.fromhex(text.strip())
    called = False
    for kind in (C, P, T):
        for more in ({}, {"encoding": "latin1"}, {"encoding": "bytes", "buffers": [b"x"] * 4}):
            try: kind(io.BytesIO(raw), **more).load()
            except Called: called = True
            except Exception: pass
    print("call" if called else "", flush=False)
`

// grow makes pickles, or what is close to one, of opcodes and their arguments in every
// spelling that CPython takes. next is a source of choices.
func grow(next func(n int) int) []byte {
	pick := func(of ...string) string { return of[next(len(of))] }
	number := func() string {
		return pick("1", "0x1", "0b1", "0o7", "00", "01", "-5", " 7", "7 ", "1_0", "\t3", "\x0c4", "+2", "0xFf", "\v1", "1\x00junk", "9\r", "12345678901234567890", "7L", "0x1L")
	}
	var out bytes.Buffer
	for range next(9) {
		switch next(30) {
		case 0:
			out.WriteString(pick("I", "L") + number() + "\n")
		case 1:
			out.WriteString("F" + pick("1", "nan", "inf", "-Infinity", "infinity", "1e5", " 2", "1E+3", "NaN", "1_0.5", "-.5", "1\x00x", "\t1\f") + "\n")
		case 2:
			out.WriteString("S" + pick("'a'", `"b"`, "''", `'\n'`, `'a\x41'`, "'a'b'", "'a' ", `"\xe9"`, "'"+strings.Repeat("a", 5000)+"'") + "\n")
		case 3:
			out.WriteString(pick("V", "P") + pick("text", "", `\u0041`, "\xc3\xa9", "a b", strings.Repeat("long ", 2000)) + "\n")
		case 4:
			out.WriteString(pick("g", "p") + pick("0", "12", " 3", "\t4", "+5", "1_0", "5 ") + "\n")
		case 5:
			out.WriteString(pick("K", "q", "h", "\x80", "U\x01", "\x8c\x01", "C\x01", "\x8a\x01", "\x82") + pick("\x00", "\x01", "\x02", "\x05", "a"))
		case 6:
			out.WriteString("M" + pick("ab", "\x00\x01"))
		case 7:
			out.WriteString(pick("J", "X", "T", "B", "r", "j", "\x8b") + pick("\x00\x00\x00\x00", "\x02\x00\x00\x00") + pick("", "ab"))
		case 8:
			out.WriteString("G" + pick("12345678", "\x00\x00\x00\x00\x00\x00\x00\x00"))
		case 9:
			out.WriteString(pick("\x95", "\x8d", "\x8e", "\x96") + pick("\x00\x00\x00\x00\x00\x00\x00\x00", "\x01\x00\x00\x00\x00\x00\x00\x00") + pick("", "a"))
		case 10:
			out.WriteString("c" + pick("os", "a b", "sys", "x\r", "") + "\n" + pick("system", "thing", "a.b", "", "x y") + "\n")
		case 11:
			out.WriteString("(i" + pick("os", "a b") + "\n" + pick("system", "thing") + "\n")
		default:
			out.WriteString(pick("(", "(", "0", "1", "2", "N", "]", "}", ")", "\x88", "\x8f", "t", "l", "d", "a", "e", "s", "u", "b", "o", "\x85", "\x86", "\x87", "\x90", "\x91", "\x94", "\x93", "\x81", "\x92", "\x97", "\x98", "R", "Q"))
		}
	}
	out.WriteString(pick("cposix\nsystem\n(S'true'\ntR.", "(S'true'\niposix\nsystem\n.", "(cposix\nsystem\nS'true'\no.", "\x8c\x05posix\x8c\x06system\x93\x8c\x04true\x85R.", "cx\nthing\nNb.", "cx\nthing\nNNs.", ".", "", "R.", "cx\nthing\nNa."))
	return out.Bytes()
}

// source turns n into choices, without chance.
func source(seed uint64) func(n int) int {
	return func(n int) int {
		seed ^= seed << 13
		seed ^= seed >> 7
		seed ^= seed << 17
		return int(seed % uint64(n))
	}
}

// asked runs program in Python, with a line of hexadecimal for each of files, and returns
// the lines that it answers.
func asked(t *testing.T, program string, files [][]byte) []string {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("python3 is not here: install it")
		}
		t.Skip("python3 is not here: install it")
	}
	var lines bytes.Buffer
	for _, b := range files {
		lines.WriteString(hex.EncodeToString(b) + "\n")
	}
	cmd := exec.Command(python, "-I", "-W", "ignore", "-c", program)
	cmd.Stdin, cmd.Stderr = &lines, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(files) {
		t.Fatalf("%d answers for %d files", len(answers), len(files))
	}
	return answers
}

func TestWhatCPythonFollowsToACallIsAPickle(t *testing.T) {
	var all [][]byte
	for seed := range uint64(20_000) {
		all = append(all, grow(source(seed*2654435761+1)))
	}
	called := 0
	for i, answer := range asked(t, unpicklers, all) {
		if answer != "call" {
			continue
		}
		called++
		if got := sniffBytes("model.json", all[i]); got != Pickle {
			t.Errorf("%q is %s, and Python calls what it imports", all[i], got)
		}
	}
	if called < 1000 {
		t.Errorf("only %d of %d were followed to a call: the pickles are not good enough", called, len(all))
	}
}
