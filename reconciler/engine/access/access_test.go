// Laws of the report: what AWS lets an identity read is listed, what it does not is not, and what cannot be judged is said.

package access

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/vishwaops/vishwa/schemas"
)

// state is a plan's state with these resources.
func state(t *testing.T, all ...resource) []byte {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"prior_state": map[string]any{"values": map[string]any{"root_module": map[string]any{
		"resources": all[:1], "child_modules": []any{map[string]any{"resources": all[1:]}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func role(values ...string) resource {
	r := resource{Address: "aws_iam_role.r", Mode: "managed", Type: "aws_iam_role", Values: map[string]any{"name": "r", "arn": "arn:aws:iam::123456789012:role/r"}}
	for i := 0; i < len(values); i += 2 {
		r.Values[values[i]] = values[i+1]
	}
	return r
}

func policy(statements string) resource {
	return resource{Address: "aws_iam_role_policy.p", Mode: "managed", Type: "aws_iam_role_policy", Values: map[string]any{"role": "r", "policy": `{"Statement": ` + statements + `}`}}
}

var students = Object{Ref: schemas.Ref{Kind: "dataset", Name: "students"}, At: []string{"data/students/*"}}

func readers(t *testing.T, of Object, all ...resource) ([]string, Report) {
	t.Helper()
	var w World
	if err := w.Add(state(t, all...)); err != nil {
		t.Fatal(err)
	}
	report := w.Report([]Object{of})
	var out []string
	for _, r := range report.Objects[0].Readers {
		out = append(out, fmt.Sprintf("%s %s %s", r.Identity[strings.LastIndex(r.Identity, "/")+1:], r.Part, strings.Join(r.Conditions, " ")))
	}
	return out, report
}

func TestWhoReadsWhat(t *testing.T) {
	const allow = `{"Effect": "Allow", "Action": `
	for name, c := range map[string]struct {
		policy string
		want   []string
	}{
		"all of it":                {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/students/*"}`, []string{"r all "}},
		"more than it":             {`[` + allow + `["s3:Get*"], "Resource": ["arn:aws:s3:::data/*"]}]`, []string{"r all "}},
		"everything":               {allow + `"*", "Resource": "*"}`, []string{"r all "}},
		"a part":                   {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/students/2024/*"}`, []string{"r some "}},
		"a part in its middle":     {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/*.csv"}`, []string{"r some "}},
		"its own part":             {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/students/${aws:username}*"}`, []string{"r some "}},
		"under a condition":        {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}}`, []string{"r some aws:SecureTransport"}},
		"other data":               {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::data/grades/*"}`, nil},
		"another bucket":           {allow + `"s3:GetObject", "Resource": "arn:aws:s3:::database/students/*"}`, nil},
		"writes":                   {allow + `["s3:PutObject", "s3:ListBucket"], "Resource": "arn:aws:s3:::data*"}`, nil},
		"denied":                   {`[` + allow + `"s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}]`, nil},
		"denied in part":           {`[` + allow + `"s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::data/students/secret/*"}]`, []string{"r some "}},
		"denied under a condition": {`[` + allow + `"s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {"x": "false"}}}]`, []string{"r some "}},
		"all actions but":          {`{"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}`, []string{"r all "}},
		"all but it":               {`{"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::data/students/*"}`, nil},
		"all but a part":           {`{"Effect": "Allow", "Action": "s3:*", "NotResource": "arn:aws:s3:::data/students/secret*"}`, []string{"r some "}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := readers(t, students, role(), policy(c.policy)); !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestABoundaryBoundsAndABucketLetsIn(t *testing.T) {
	all := policy(`{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}`)
	boundary := resource{Address: "aws_iam_policy.b", Mode: "managed", Type: "aws_iam_policy", Values: map[string]any{
		"arn": "arn:aws:iam::123456789012:policy/b", "policy": `{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::models/*"}}`}}
	bounded := role("permissions_boundary", "arn:aws:iam::123456789012:policy/b")
	if got, _ := readers(t, students, bounded, all, boundary); got != nil {
		t.Errorf("beyond its boundary: %q", got)
	}
	got, report := readers(t, students, bounded, all)
	if want := []string{"aws_iam_role.r: its boundary arn:aws:iam::123456789012:policy/b is in no state, and was taken to allow all"}; !slices.Equal(got, []string{"r all "}) || !reflect.DeepEqual(report.Unknown, want) {
		t.Errorf("a boundary that is not known: %q, %q", got, report.Unknown)
	}
	bucket := func(statement string) resource {
		return resource{Address: "aws_s3_bucket_policy.d", Mode: "managed", Type: "aws_s3_bucket_policy", Values: map[string]any{"bucket": "data", "policy": `{"Statement": [` + statement + `]}`}}
	}
	in := `"Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/*"}`
	for statement, want := range map[string][]string{
		`{"Effect": "Allow", "Principal": "*", ` + in:                                                                        {"* all ", "r all "},
		`{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::999999999999:role/other"}, ` + in:                            {"other all "},
		`{"Effect": "Allow", "Principal": {"AWS": ["123456789012"]}, ` + in:                                                  {"123456789012 all ", "r all "},
		`{"Effect": "Deny", "Principal": "*", ` + in:                                                                         nil,
		`{"Effect": "Allow", "Principal": {"AWS": "*"}, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, ` + in: {"* some aws:PrincipalOrgID", "r some aws:PrincipalOrgID"},
	} {
		if got, _ := readers(t, students, role(), bucket(statement)); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", statement, got, want)
		}
	}
}

func TestWhatIsNotJudgedIsSaid(t *testing.T) {
	attached := resource{Address: "aws_iam_role_policy_attachment.a", Mode: "managed", Type: "aws_iam_role_policy_attachment", Values: map[string]any{"role": "r", "policy_arn": "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"}}
	broken := policy(`"s3cret"`)
	_, report := readers(t, students, role(), attached, broken)
	want := []string{"aws_iam_role_policy.p: its policy cannot be read", "aws_iam_role_policy_attachment.a: attaches arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess, whose text is in no state"}
	if !reflect.DeepEqual(report.Unknown, want) {
		t.Errorf("%q", report.Unknown)
	}
	var w World
	if err := w.Add([]byte("s3cret")); err == nil || err.Error() != "the state cannot be read" {
		t.Error(err)
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add(`{"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::data/${x}*"}}`, "data/students/*")
	f.Fuzz(func(t *testing.T, text, place string) {
		rules, err := parse(text)
		if err != nil {
			return
		}
		var v verdict
		v.add(source{"p", rules}, place, "")
		if v.allow != none && len(v.by) == 0 {
			t.Errorf("allowed by nothing: %+v", v)
		}
	})
}
