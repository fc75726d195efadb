// Calls of AWS's APIs: IAM's are forms that are answered in XML, S3's are paths.

package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	core "github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

type client struct {
	endpoint, region string
	key              core.Credentials
}

// failure is an answer that is none of success.
type failure struct {
	Status  int
	Code    string `xml:"Error>Code"`
	Bare    string `xml:"Code"`
	Message string `xml:"Error>Message"`
}

func (f *failure) Error() string {
	return fmt.Sprintf("api error %s%s: status code: %d %s", f.Code, f.Bare, f.Status, f.Message)
}

func absent(err error) bool {
	var f *failure
	return errors.As(err, &f) && f.Status == http.StatusNotFound
}

// iam calls an action of IAM; its answer goes into out.
func (c *client) iam(ctx context.Context, out any, action string, more ...string) error {
	form := url.Values{"Action": {action}, "Version": {"2010-05-08"}}
	for i := 0; i+1 < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return c.do(ctx, "iam", http.MethodPost, "/", []byte(form.Encode()), "application/x-www-form-urlencoded", out)
}

func (c *client) s3(ctx context.Context, method, at string, body []byte, out any) error {
	return c.do(ctx, "s3", method, "/"+at, body, "", out)
}

func (c *client) do(ctx context.Context, service, method, at string, body []byte, kind string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.endpoint, "/")+at, bytes.NewReader(body))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	req.Header.Set("X-Amz-Content-Sha256", hash)
	if err := v4.NewSigner().SignHTTP(ctx, c.key, req, hash, service, c.region, time.Now()); err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 4<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		f := &failure{}
		_ = xml.Unmarshal(raw, f) // without a body, the status tells
		f.Status = resp.StatusCode
		return f
	}
	switch out := out.(type) {
	case nil:
		return nil
	case *string:
		*out = string(raw)
		return nil
	default:
		return xml.Unmarshal(raw, out)
	}
}
