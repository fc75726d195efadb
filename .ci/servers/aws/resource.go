// A resource of any of the kinds: texts and flags, kept in state as they are declared.

package main

import (
	"context"
	"encoding/json"
	"reflect"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// use says what an attribute is for.
type use int

const (
	needed use = iota // replaces the resource where it changes
	text              // changed in place
	option            // a text that may be left out
	flag              // false where it is left out
	made              // known once the resource is there
)

// values are the attributes of a resource that are set; a flag is "true" or "false".
type values map[string]string

// kind is one type of resource.
type kind struct {
	attributes map[string]use
	create     func(context.Context, *client, values) error
	// read fills in what there is; an error that is absent means that nothing is there.
	read   func(context.Context, *client, values) error
	update func(ctx context.Context, c *client, was, now values) error
	remove func(context.Context, *client, values) error
}

type thing struct {
	name   string
	kind   kind
	client *client
}

func (t *thing) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = t.name
}

func (t *thing) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	all := map[string]schema.Attribute{}
	for name, use := range t.kind.attributes {
		switch use {
		case needed:
			all[name] = schema.StringAttribute{Required: true, PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()}}
		case text:
			all[name] = schema.StringAttribute{Required: true}
		case option:
			all[name] = schema.StringAttribute{Optional: true}
		case flag:
			all[name] = schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false)}
		case made:
			all[name] = schema.StringAttribute{Computed: true, PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()}}
		}
	}
	resp.Schema = schema.Schema{Attributes: all}
}

func (t *thing) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	t.client, _ = req.ProviderData.(*client)
}

// attributes of a plan or a state.
type attributes interface {
	GetAttribute(context.Context, path.Path, any) diag.Diagnostics
}

type settable interface {
	SetAttribute(context.Context, path.Path, any) diag.Diagnostics
}

func (t *thing) get(ctx context.Context, from attributes, wrong *diag.Diagnostics) values {
	out := values{}
	for name, use := range t.kind.attributes {
		if use == flag {
			var v types.Bool
			wrong.Append(from.GetAttribute(ctx, path.Root(name), &v)...)
			out[name] = strconv.FormatBool(v.ValueBool())
			continue
		}
		var v types.String
		wrong.Append(from.GetAttribute(ctx, path.Root(name), &v)...)
		if !v.IsNull() && !v.IsUnknown() {
			out[name] = v.ValueString()
		}
	}
	return out
}

func (t *thing) set(ctx context.Context, v values, to settable, wrong *diag.Diagnostics) {
	for name, use := range t.kind.attributes {
		var one attr.Value = types.StringNull()
		switch value, given := v[name]; {
		case use == flag:
			one = types.BoolValue(value == "true")
		case given:
			one = types.StringValue(value)
		}
		wrong.Append(to.SetAttribute(ctx, path.Root(name), one)...)
	}
}

func (t *thing) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	v := t.get(ctx, req.Plan, &resp.Diagnostics)
	if err := t.kind.create(ctx, t.client, v); err != nil {
		resp.Diagnostics.AddError("creating "+t.name, err.Error())
		return
	}
	t.set(ctx, v, &resp.State, &resp.Diagnostics)
}

func (t *thing) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	was := t.get(ctx, req.State, &resp.Diagnostics)
	now := values{}
	for name, value := range was {
		now[name] = value
	}
	switch err := t.kind.read(ctx, t.client, now); {
	case absent(err):
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		resp.Diagnostics.AddError("reading "+t.name, err.Error())
		return
	}
	for name, value := range now {
		if same(was[name], value) {
			now[name] = was[name]
		}
	}
	t.set(ctx, now, &resp.State, &resp.Diagnostics)
}

func (t *thing) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	was, now := t.get(ctx, req.State, &resp.Diagnostics), t.get(ctx, req.Plan, &resp.Diagnostics)
	if err := t.kind.update(ctx, t.client, was, now); err != nil {
		resp.Diagnostics.AddError("updating "+t.name, err.Error())
		return
	}
	t.set(ctx, now, &resp.State, &resp.Diagnostics)
}

func (t *thing) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	if err := t.kind.remove(ctx, t.client, t.get(ctx, req.State, &resp.Diagnostics)); err != nil && !absent(err) {
		resp.Diagnostics.AddError("deleting "+t.name, err.Error())
	}
}

// same tells whether two texts are one, or JSON of one.
func same(a, b string) bool {
	var x, y any
	if a == b {
		return true
	}
	return json.Unmarshal([]byte(a), &x) == nil && json.Unmarshal([]byte(b), &y) == nil && reflect.DeepEqual(x, y)
}
