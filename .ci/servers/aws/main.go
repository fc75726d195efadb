// Terraform-provider-aws answers to the address of hashicorp/aws, for the tests of examples/iam: no release of that provider is available where they run.
// It has the few resources that the example's module uses, with the names and attributes that hashicorp/aws documents, and makes them by the same
// calls of AWS's APIs, signed as those demand, at the endpoint that AWS_ENDPOINT_URL names.
package main

import (
	"context"
	"log"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func main() {
	err := providerserver.Serve(context.Background(), func() provider.Provider { return aws{} }, providerserver.ServeOpts{Address: "registry.terraform.io/hashicorp/aws"})
	if err != nil {
		log.Fatal(err)
	}
}

type aws struct{}

func (aws) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "aws"
}

func (aws) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{"region": schema.StringAttribute{Optional: true}}}
}

func (aws) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var set struct {
		Region types.String `tfsdk:"region"`
	}
	resp.Diagnostics.Append(req.Config.Get(ctx, &set)...)
	c := &client{endpoint: os.Getenv("AWS_ENDPOINT_URL"), region: set.Region.ValueString()}
	c.key.AccessKeyID, c.key.SecretAccessKey, c.key.SessionToken = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")
	if c.key.AccessKeyID == "" {
		resp.Diagnostics.AddError("No valid credential sources found", "AWS_ACCESS_KEY_ID is not set")
	}
	if c.region == "" {
		c.region = os.Getenv("AWS_REGION")
	}
	resp.ResourceData = c
}

func (aws) DataSources(context.Context) []func() datasource.DataSource { return nil }

func (aws) Resources(context.Context) (all []func() resource.Resource) {
	for name := range kinds {
		all = append(all, func() resource.Resource { return &thing{name: name, kind: kinds[name]} })
	}
	return all
}
