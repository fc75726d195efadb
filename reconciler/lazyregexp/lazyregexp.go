// Package lazyregexp has regular expressions that are compiled when they are first asked. A program is
// begun more often than it runs long, and asks few of the many that its packages have.
package lazyregexp

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Regexp is an expression, safe for use by several goroutines.
type Regexp struct {
	text string
	once sync.Once
	re   *regexp.Regexp
}

// inTests: there all expressions are compiled at once, so that one that cannot be is found by any test. What a test begins
// of itself, as another program, is none: go test has words of its own for those.
var inTests = len(os.Args) > 0 && strings.HasSuffix(os.Args[0], ".test") && slices.ContainsFunc(os.Args[1:], func(arg string) bool { return strings.HasPrefix(arg, "-test.") })

// New is regexp.MustCompile, later: an expression that cannot be compiled panics when it is asked, and in tests at once.
func New(text string) *Regexp {
	r := &Regexp{text: text}
	if inTests {
		r.compiled()
	}
	return r
}

func (r *Regexp) compiled() *regexp.Regexp {
	r.once.Do(func() { r.re = regexp.MustCompile(r.text) })
	return r.re
}

// String is the expression.
func (r *Regexp) String() string { return r.text }

// MatchString is regexp.Regexp's, as are all below.
func (r *Regexp) MatchString(s string) bool { return r.compiled().MatchString(s) }

func (r *Regexp) Match(b []byte) bool { return r.compiled().Match(b) }

func (r *Regexp) FindString(s string) string { return r.compiled().FindString(s) }

func (r *Regexp) FindStringIndex(s string) []int { return r.compiled().FindStringIndex(s) }

func (r *Regexp) FindStringSubmatch(s string) []string { return r.compiled().FindStringSubmatch(s) }

func (r *Regexp) FindSubmatch(b []byte) [][]byte { return r.compiled().FindSubmatch(b) }

func (r *Regexp) FindStringSubmatchIndex(s string) []int {
	return r.compiled().FindStringSubmatchIndex(s)
}

func (r *Regexp) FindAllString(s string, n int) []string { return r.compiled().FindAllString(s, n) }

func (r *Regexp) FindAllStringIndex(s string, n int) [][]int {
	return r.compiled().FindAllStringIndex(s, n)
}

func (r *Regexp) FindAllStringSubmatch(s string, n int) [][]string {
	return r.compiled().FindAllStringSubmatch(s, n)
}

func (r *Regexp) FindAllStringSubmatchIndex(s string, n int) [][]int {
	return r.compiled().FindAllStringSubmatchIndex(s, n)
}

func (r *Regexp) ReplaceAllString(src, to string) string {
	return r.compiled().ReplaceAllString(src, to)
}

func (r *Regexp) ReplaceAllLiteralString(src, to string) string {
	return r.compiled().ReplaceAllLiteralString(src, to)
}

func (r *Regexp) ReplaceAllStringFunc(src string, to func(string) string) string {
	return r.compiled().ReplaceAllStringFunc(src, to)
}

func (r *Regexp) Find(b []byte) []byte { return r.compiled().Find(b) }

func (r *Regexp) FindSubmatchIndex(b []byte) []int { return r.compiled().FindSubmatchIndex(b) }

func (r *Regexp) FindAllSubmatch(b []byte, n int) [][][]byte {
	return r.compiled().FindAllSubmatch(b, n)
}
