// What a worker is lent of a store: content that it reads by name, and one prefix that it
// writes below.

package dispatch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/machine/artifact"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
	"github.com/vishwaops/vishwa/reconciler/port"
)

// tries is how often a piece is asked for or sent.
const tries = 6

// lent is a Store of what a document lends. What is put is written below the prefix.
type lent struct {
	doc    Document
	part   Part
	client *http.Client
	tmp    string // folder for what is put, until it is written
	now    func() time.Time
	sleep  func(context.Context, time.Duration) error

	mu   sync.Mutex
	loan Renewal // what is lent now
	made map[digest.Digest]int64
}

var _ port.Store = (*lent)(nil)

// Lent is a store of what is lent until then: it reads, and keeps nothing.
func Lent(client *http.Client, read map[digest.Digest]string, until time.Time, now func() time.Time) port.Store {
	return &lent{client: client, now: now, sleep: httpx.Sleep, loan: Renewal{Read: read, Until: until}}
}

func (l *lent) Has(_ context.Context, d digest.Digest) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, made := l.made[d]
	return made, nil
}

// Get reads what was lent, by its name: other bytes are Corrupt.
func (l *lent) Get(ctx context.Context, d digest.Digest) (io.ReadCloser, error) {
	if _, ok := l.lends().Read[d]; !ok {
		return nil, fault.New(fault.Missing, "%s is not lent to this job", d)
	}
	body, err := l.open(ctx, func() string { return l.lends().Read[d] })
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", d.Short(), err)
	}
	return &checked{ReadCloser: body, want: d, sum: sha256.New()}, nil
}

// checked fails with Corrupt instead of io.EOF where the bytes are not what they are named.
type checked struct {
	io.ReadCloser
	want digest.Digest
	sum  hash.Hash
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.sum.Write(p[:n])
	if err == io.EOF && digest.FromSum(c.sum.Sum(nil)) != c.want {
		err = fault.WithHint(fault.New(fault.Corrupt, "%s: its bytes are not what they are named", c.want), "vishwa ledger verify and vishwa verify tell what else of the store is damaged; restore it from a backup")
	}
	return n, err
}

// open reads the whole of what is at a URL, which a renewal may change; a body that is cut
// off goes on where it ended.
func (l *lent) open(ctx context.Context, at func() string) (io.ReadCloser, error) {
	if file, ok := strings.CutPrefix(at(), "file://"); ok {
		f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
		if err != nil {
			return nil, unreadable(err)
		}
		return f, nil
	}
	r := &resumed{ctx: ctx, l: l, at: at}
	if err := r.next(); err != nil {
		return nil, err
	}
	return r, nil
}

func unreadable(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.WithHint(fault.New(fault.Missing, "%w", err), "the engine must run on the machine that reconciles, or the store must be one that it reaches, such as spec.store.s3")
	}
	return fault.WithHint(fault.New(fault.Denied, "%w", err), "let the user of the worker read what the message names, or give a store that it reaches, such as spec.store.s3")
}

// resumed is a body that is asked for again from where it broke off.
type resumed struct {
	ctx    context.Context
	l      *lent
	at     func() string
	body   io.ReadCloser
	offset int64
	failed int
}

func (r *resumed) next() error {
	for {
		err := r.ask()
		if err == nil || fault.Of(err) != fault.Transient || r.failed+1 >= tries {
			return err
		}
		r.failed++
		if err := r.l.sleep(r.ctx, time.Second<<r.failed/2); err != nil {
			return err
		}
	}
}

func (r *resumed) ask() error {
	req, err := http.NewRequestWithContext(r.ctx, http.MethodGet, r.at(), nil)
	if err != nil {
		return fault.New(fault.Invalid, "the address cannot be read")
	}
	want := http.StatusOK
	if r.offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", r.offset))
		want = http.StatusPartialContent
	}
	resp, err := r.l.client.Do(req)
	if err != nil {
		return unreached(r.ctx, r.at(), err)
	}
	if resp.StatusCode == http.StatusRequestedRangeNotSatisfiable && r.offset > 0 { // all of it had come
		httpx.Drain(resp)
		r.body = io.NopCloser(bytes.NewReader(nil))
		return nil
	}
	if resp.StatusCode != want {
		defer httpx.Drain(resp)
		return r.l.refused(resp)
	}
	r.body = resp.Body
	return nil
}

func (r *resumed) Read(p []byte) (int, error) {
	for {
		n, err := r.body.Read(p)
		r.offset += int64(n)
		if n > 0 {
			r.failed = 0
		}
		if err == nil || err == io.EOF {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
		if r.failed++; r.failed >= tries || r.ctx.Err() != nil {
			return 0, unreached(r.ctx, r.at(), err)
		}
		r.body.Close()
		if err := r.next(); err != nil {
			return 0, err
		}
	}
}

func (r *resumed) Close() error { return r.body.Close() }

// unreached is a failure to ask, without the address's secrets.
func unreached(ctx context.Context, at string, err error) error {
	host := at
	if u, perr := url.Parse(at); perr == nil {
		host = u.Host
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "ask the store at %s: %w", host, ctx.Err())
	}
	return fault.WithHint(fault.New(fault.Transient, "the worker cannot reach the store at %s: %w", host, err), "let what runs the job reach it")
}

// refused is a status that says no.
func (l *lent) refused(resp *http.Response) error {
	kind := httpx.KindOf(resp.StatusCode)
	err := fault.New(kind, "the store at %s answers %s", resp.Request.URL.Host, resp.Status)
	switch {
	case resp.StatusCode == http.StatusForbidden && l.now().After(l.lends().Until):
		return fault.WithHint(fault.New(fault.Transient, "what this job was lent of the store ended at %s", l.lends().Until.UTC().Format(time.RFC3339)),
			"the next pass begins it anew; raise spec.timeout if its uploads take longer")
	case resp.StatusCode == http.StatusForbidden:
		return fault.WithHint(err, "compare the clock of the worker's machine, and see that the controller's credentials may read and write the store")
	}
	return err
}

// Put keeps r below the prefix, in parts where it is large.
func (l *lent) Put(ctx context.Context, r io.Reader) (digest.Digest, int64, error) {
	tmp, err := os.CreateTemp(l.tmp, "put-")
	if err != nil {
		return "", 0, artifact.Disk(fmt.Errorf("keep an object: %w", err), l.tmp)
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	d, size, err := artifact.Copy(ctx, tmp, r)
	if err != nil {
		return "", 0, artifact.Disk(fmt.Errorf("keep an object: %w", err), l.tmp)
	}
	if has, _ := l.Has(ctx, d); has {
		return d, size, nil
	}
	for n := range l.part.count(size) {
		at := int64(n) * l.part.size()
		if err := l.write(ctx, l.part.name(d, size, n), tmp, at, min(l.part.size(), size-at)); err != nil {
			return "", 0, err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.made[d] = size
	return d, size, nil
}

// write writes size bytes of r from offset under name, again where that fails on the way.
func (l *lent) write(ctx context.Context, name string, r io.ReaderAt, offset, size int64) error {
	var err error
	for try := range tries {
		if try > 0 {
			if err := l.sleep(ctx, time.Second<<try/2); err != nil {
				return err
			}
		}
		piece := io.NewSectionReader(r, offset, size)
		if folder, ok := strings.CutPrefix(l.lends().Write.URL, "file://"); ok {
			err = writeFile(filepath.Join(folder, filepath.FromSlash(name)), piece)
		} else {
			err = l.post(ctx, name, piece, size)
		}
		if err == nil || fault.Of(err) != fault.Transient {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// writeFile appears whole, and can be read by whoever owns the folder.
func writeFile(name string, r io.Reader) error {
	tmp := name + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|syscall.O_NOFOLLOW, 0o644)
	if err != nil {
		return unreadable(err)
	}
	_, err = io.Copy(f, r)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, name)
	}
	return artifact.Disk(err, filepath.Dir(name))
}

// post sends an object as S3's POST takes it: the fields first, the file last.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTObjectPOST.html
func (l *lent) post(ctx context.Context, name string, r io.Reader, size int64) error {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	lends := l.lends().Write
	fields := lends.Fields
	for _, f := range slices.Sorted(maps.Keys(fields)) {
		if f != "key" {
			_ = form.WriteField(f, fields[f]) // into memory
		}
	}
	_ = form.WriteField("key", lends.Prefix+name)
	_, _ = form.CreateFormFile("file", "object")
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	length := int64(head.Len()) + size + int64(len(tail))
	body := io.MultiReader(&head, r, strings.NewReader(tail))
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, lends.URL, io.NopCloser(body))
	if err != nil {
		return fault.New(fault.Invalid, "the address to write to cannot be read")
	}
	req.ContentLength = length
	req.Header.Set("Content-Type", form.FormDataContentType())
	resp, err := l.client.Do(req)
	if err != nil {
		return unreached(ctx, lends.URL, err)
	}
	defer httpx.Drain(resp)
	if resp.StatusCode/100 != 2 {
		return l.refused(resp)
	}
	return nil
}
