// How a bucket is reached: its address, region, credentials and transport.

package bucket

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/vishwaops/vishwa/reconciler/fault"
	dialling "github.com/vishwaops/vishwa/reconciler/machine/dial"
	"github.com/vishwaops/vishwa/reconciler/machine/httpx"
)

// S3Options say which bucket, and how it is asked. Bucket alone is Amazon's, with
// the usual credentials.
type S3Options struct {
	Bucket, Prefix string // keys are below Prefix
	Endpoint       string // http://host:port, https://host or host; "" is Amazon's
	Region         string
	Profile        string // of the shared files
	Credentials    string // the shared file; "" is the usual one
	// Access is who may do what with objects that are put: acl, and grant-read,
	// grant-read-acp, grant-write-acp and grant-full-control, as S3 has them.
	Access     map[string]string
	PathStyle  *bool // nil: where there is an endpoint of its own
	Anonymous  bool
	Encryption string // "", AES256 or aws:kms
	KMSKey     string
	CAFile     string // of authorities that are trusted besides the system's

	AccessKey, SecretKey, SessionToken string // where they are given; else the usual places

	// Guarded has the server reached where its address is of the public internet, and
	// where Allow names it or its address; and by no proxy.
	Guarded bool
	Allow   []string

	Lookup func(name string) (string, bool) // the caller's variables; for AWS_*
	Jobs   int                              // requests under way at once; zero is 32

	metadata string        // where the machine's role is asked for; "" is its usual place
	pace     dialling.Pace // zero is steady
}

func (o S3Options) endpoint() (host string, secure bool, err error) {
	if o.Endpoint == "" {
		return "s3.amazonaws.com", true, nil
	}
	if !strings.Contains(o.Endpoint, "://") {
		return o.Endpoint, true, nil
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.Path != "" && u.Path != "/" {
		return "", false, fault.WithHint(fault.New(fault.Invalid, "the endpoint of s3://%s cannot be read", o.Bucket), "write it as https://host:port")
	}
	return u.Host, u.Scheme == "https", nil
}

func (o S3Options) lookup(name string) string {
	if o.Lookup == nil {
		return ""
	}
	v, _ := o.Lookup(name)
	return v
}

func (o S3Options) region() string {
	for _, r := range []string{o.Region, o.lookup("AWS_REGION"), o.lookup("AWS_DEFAULT_REGION")} {
		if r != "" {
			return r
		}
	}
	if o.Endpoint != "" {
		return "us-east-1" // what servers other than Amazon's answer to; saves asking where the bucket is
	}
	return ""
}

// credentials come from the first place that has some: the options, variables, the
// shared file, a web identity, the machine's role.
func (o S3Options) credentials() *credentials.Credentials {
	if o.Anonymous {
		return credentials.NewStaticV4("", "", "")
	}
	if o.AccessKey != "" {
		return credentials.NewStaticV4(o.AccessKey, o.SecretKey, o.SessionToken)
	}
	profile := o.Profile
	if profile == "" {
		profile = o.lookup("AWS_PROFILE")
	}
	var places []credentials.Provider
	if id := o.lookup("AWS_ACCESS_KEY_ID"); id != "" && o.Profile == "" {
		places = append(places, &credentials.Static{Value: credentials.Value{
			AccessKeyID: id, SecretAccessKey: o.lookup("AWS_SECRET_ACCESS_KEY"), SessionToken: o.lookup("AWS_SESSION_TOKEN"), SignerType: credentials.SignatureV4}})
	}
	file := o.Credentials
	if file == "" {
		file = o.lookup("AWS_SHARED_CREDENTIALS_FILE")
	}
	if home := o.lookup("HOME"); file == "" && home != "" {
		file = filepath.Join(home, ".aws", "credentials")
	}
	if file != "" {
		places = append(places, &credentials.FileAWSCredentials{Filename: file, Profile: profile})
	}
	// Where there is no machine's role, asking for it must not take long.
	places = append(places, &credentials.IAM{Client: &http.Client{Timeout: 2 * time.Second}, Endpoint: o.metadata})
	return credentials.New(&found{credentials.Chain{Providers: places}})
}

// found is a chain that does not end in asking without credentials.
type found struct{ credentials.Chain }

func (f *found) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	v, err := f.Chain.RetrieveWithCredContext(cc)
	if err == nil && v.AccessKeyID == "" {
		err = fault.WithHint(fault.New(fault.Denied, "there are no credentials for S3"),
			"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials; for a public bucket, declare anonymous: true")
	}
	return v, err
}

func (f *found) Retrieve() (credentials.Value, error) { return f.RetrieveWithCredContext(nil) }

func (o S3Options) jobs() int {
	if o.Jobs > 0 {
		return o.Jobs
	}
	return 32
}

func (o S3Options) transport(host string, secure bool) (*http.Transport, error) {
	t := httpx.Transport(httpx.Options{Dial: dial, Header: stall, PerHost: 2 * o.jobs(), Verbatim: true})
	// Small objects are many: a connection is worth keeping.
	t.Proxy, t.MaxIdleConns, t.IdleConnTimeout = http.ProxyFromEnvironment, 2*o.jobs(), stall
	t.ExpectContinueTimeout, t.WriteBufferSize, t.ReadBufferSize, t.ForceAttemptHTTP2 = 5*time.Second, 32<<10, 32<<10, false
	if o.Guarded {
		to, err := o.guard(host)
		if err != nil {
			return nil, err
		}
		t.Proxy, t.DialContext = nil, to // a proxy would be dialled in place of the address that has to be looked at
	}
	authorities := o.CAFile
	if authorities == "" {
		authorities = o.lookup("AWS_CA_BUNDLE")
	}
	if authorities == "" || !secure {
		return t, nil
	}
	roots, err := httpx.Authorities(authorities)
	if err != nil {
		return nil, fault.WithHint(fmt.Errorf("s3://%s: %w", o.Bucket, err), "correct ssl_verify, or AWS_CA_BUNDLE")
	}
	t.TLSClientConfig.RootCAs = roots
	return t, nil
}

// Variables are those of the environment that say how to sign in to S3.
var Variables = []string{
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "AWS_CA_BUNDLE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE",
	"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
}
