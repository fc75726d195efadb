// The kinds, as https://registry.terraform.io/providers/hashicorp/aws documents them, each by the calls that make it.

package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
)

var kinds = map[string]kind{
	"aws_s3_bucket":                     bucket,
	"aws_s3_bucket_public_access_block": block,
	"aws_s3_bucket_policy":              bucketPolicy,
	"aws_iam_policy":                    policy,
	"aws_iam_role":                      role,
	"aws_iam_role_policy":               rolePolicy,
}

var bucket = kind{
	attributes: map[string]use{"bucket": needed, "arn": made, "id": made},
	create: func(ctx context.Context, c *client, v values) error {
		v["id"], v["arn"] = v["bucket"], "arn:aws:s3:::"+v["bucket"]
		body := ""
		if c.region != "us-east-1" {
			body = "<CreateBucketConfiguration><LocationConstraint>" + c.region + "</LocationConstraint></CreateBucketConfiguration>"
		}
		return c.s3(ctx, http.MethodPut, v["bucket"], []byte(body), nil)
	},
	read: func(ctx context.Context, c *client, v values) error {
		return c.s3(ctx, http.MethodHead, v["bucket"], nil, nil)
	},
	remove: func(ctx context.Context, c *client, v values) error {
		return c.s3(ctx, http.MethodDelete, v["bucket"], nil, nil)
	},
}

// access is PublicAccessBlockConfiguration.
type access struct {
	XMLName xml.Name `xml:"PublicAccessBlockConfiguration"`
	ACLs    bool     `xml:"BlockPublicAcls"`
	Ignore  bool     `xml:"IgnorePublicAcls"`
	Policy  bool     `xml:"BlockPublicPolicy"`
	Buckets bool     `xml:"RestrictPublicBuckets"`
}

func putBlock(ctx context.Context, c *client, v values) error {
	v["id"] = v["bucket"]
	is := func(name string) bool { return v[name] == "true" }
	raw, err := xml.Marshal(access{ACLs: is("block_public_acls"), Ignore: is("ignore_public_acls"), Policy: is("block_public_policy"), Buckets: is("restrict_public_buckets")})
	if err != nil {
		return err
	}
	return c.s3(ctx, http.MethodPut, v["bucket"]+"?publicAccessBlock=", raw, nil)
}

var block = kind{
	attributes: map[string]use{"bucket": needed, "id": made, "block_public_acls": flag, "block_public_policy": flag, "ignore_public_acls": flag, "restrict_public_buckets": flag},
	create:     putBlock,
	read: func(ctx context.Context, c *client, v values) error {
		var got access
		if err := c.s3(ctx, http.MethodGet, v["bucket"]+"?publicAccessBlock=", nil, &got); err != nil {
			return err
		}
		v["block_public_acls"], v["ignore_public_acls"] = fmt.Sprint(got.ACLs), fmt.Sprint(got.Ignore)
		v["block_public_policy"], v["restrict_public_buckets"] = fmt.Sprint(got.Policy), fmt.Sprint(got.Buckets)
		return nil
	},
	update: func(ctx context.Context, c *client, _, now values) error { return putBlock(ctx, c, now) },
	remove: func(ctx context.Context, c *client, v values) error {
		return c.s3(ctx, http.MethodDelete, v["bucket"]+"?publicAccessBlock=", nil, nil)
	},
}

func putBucketPolicy(ctx context.Context, c *client, v values) error {
	v["id"] = v["bucket"]
	return c.s3(ctx, http.MethodPut, v["bucket"]+"?policy=", []byte(v["policy"]), nil)
}

var bucketPolicy = kind{
	attributes: map[string]use{"bucket": needed, "policy": text, "id": made},
	create:     putBucketPolicy,
	read: func(ctx context.Context, c *client, v values) error {
		var got string
		err := c.s3(ctx, http.MethodGet, v["bucket"]+"?policy=", nil, &got)
		v["policy"] = got
		return err
	},
	update: func(ctx context.Context, c *client, _, now values) error { return putBucketPolicy(ctx, c, now) },
	remove: func(ctx context.Context, c *client, v values) error {
		return c.s3(ctx, http.MethodDelete, v["bucket"]+"?policy=", nil, nil)
	},
}

var policy = kind{
	attributes: map[string]use{"name": needed, "policy": needed, "arn": made, "id": made},
	create: func(ctx context.Context, c *client, v values) error {
		var got struct {
			ARN string `xml:"CreatePolicyResult>Policy>Arn"`
		}
		err := c.iam(ctx, &got, "CreatePolicy", "PolicyName", v["name"], "PolicyDocument", v["policy"])
		v["arn"], v["id"] = got.ARN, got.ARN
		return err
	},
	read: func(ctx context.Context, c *client, v values) error {
		var got struct {
			Name    string `xml:"GetPolicyResult>Policy>PolicyName"`
			Version string `xml:"GetPolicyResult>Policy>DefaultVersionId"`
		}
		if err := c.iam(ctx, &got, "GetPolicy", "PolicyArn", v["arn"]); err != nil {
			return err
		}
		var version struct {
			Document string `xml:"GetPolicyVersionResult>PolicyVersion>Document"`
		}
		if err := c.iam(ctx, &version, "GetPolicyVersion", "PolicyArn", v["arn"], "VersionId", got.Version); err != nil {
			return err
		}
		v["name"] = got.Name
		return plain(version.Document, v, "policy")
	},
	remove: func(ctx context.Context, c *client, v values) error {
		return c.iam(ctx, nil, "DeletePolicy", "PolicyArn", v["arn"])
	},
}

// plain sets a document, which IAM gives as a part of an address.
func plain(document string, v values, name string) error {
	text, err := url.QueryUnescape(document)
	v[name] = text
	return err
}

var role = kind{
	attributes: map[string]use{"name": needed, "assume_role_policy": text, "permissions_boundary": option, "arn": made, "id": made, "unique_id": made},
	create: func(ctx context.Context, c *client, v values) error {
		var got struct {
			ARN string `xml:"CreateRoleResult>Role>Arn"`
			ID  string `xml:"CreateRoleResult>Role>RoleId"`
		}
		more := []string{"RoleName", v["name"], "AssumeRolePolicyDocument", v["assume_role_policy"]}
		if v["permissions_boundary"] != "" {
			more = append(more, "PermissionsBoundary", v["permissions_boundary"])
		}
		err := c.iam(ctx, &got, "CreateRole", more...)
		v["arn"], v["id"], v["unique_id"] = got.ARN, v["name"], got.ID
		return err
	},
	read: func(ctx context.Context, c *client, v values) error {
		var got struct {
			Document string `xml:"GetRoleResult>Role>AssumeRolePolicyDocument"`
			Boundary string `xml:"GetRoleResult>Role>PermissionsBoundary>PermissionsBoundaryArn"`
		}
		if err := c.iam(ctx, &got, "GetRole", "RoleName", v["name"]); err != nil {
			return err
		}
		delete(v, "permissions_boundary")
		if got.Boundary != "" {
			v["permissions_boundary"] = got.Boundary
		}
		return plain(got.Document, v, "assume_role_policy")
	},
	update: func(ctx context.Context, c *client, was, now values) error {
		if err := c.iam(ctx, nil, "UpdateAssumeRolePolicy", "RoleName", now["name"], "PolicyDocument", now["assume_role_policy"]); err != nil {
			return err
		}
		switch boundary := now["permissions_boundary"]; {
		case boundary == was["permissions_boundary"]:
			return nil
		case boundary == "":
			return c.iam(ctx, nil, "DeleteRolePermissionsBoundary", "RoleName", now["name"])
		default:
			return c.iam(ctx, nil, "PutRolePermissionsBoundary", "RoleName", now["name"], "PermissionsBoundary", boundary)
		}
	},
	remove: func(ctx context.Context, c *client, v values) error {
		return c.iam(ctx, nil, "DeleteRole", "RoleName", v["name"])
	},
}

func putRolePolicy(ctx context.Context, c *client, v values) error {
	v["id"] = v["role"] + ":" + v["name"]
	return c.iam(ctx, nil, "PutRolePolicy", "RoleName", v["role"], "PolicyName", v["name"], "PolicyDocument", v["policy"])
}

var rolePolicy = kind{
	attributes: map[string]use{"name": needed, "role": needed, "policy": text, "id": made},
	create:     putRolePolicy,
	read: func(ctx context.Context, c *client, v values) error {
		var got struct {
			Document string `xml:"GetRolePolicyResult>PolicyDocument"`
		}
		if err := c.iam(ctx, &got, "GetRolePolicy", "RoleName", v["role"], "PolicyName", v["name"]); err != nil {
			return err
		}
		return plain(got.Document, v, "policy")
	},
	update: func(ctx context.Context, c *client, _, now values) error { return putRolePolicy(ctx, c, now) },
	remove: func(ctx context.Context, c *client, v values) error {
		return c.iam(ctx, nil, "DeleteRolePolicy", "RoleName", v["role"], "PolicyName", v["name"])
	},
}
