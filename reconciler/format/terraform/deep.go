// What is nested so deeply that a reader which goes down into it would run out of stack is
// not read. No module that a person wrote comes near.

package terraform

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

const (
	maxNested    = 200    // brackets in brackets, and signs in a row
	maxOperators = 20_000 // of a file: a chain of them is as deep as it is long
	// maxJoined bounds the bytes that the reader copies while it joins the lines of a
	// heredoc, one after another.
	maxJoined = 512 << 20
)

var errDeep = errors.New("it is nested too deeply to be read")

// checkHCL looks at a text by its words alone.
func checkHCL(raw []byte, name string) error {
	words, _ := hclsyntax.LexConfig(raw, name, hcl.InitialPos)
	return checkWords(words)
}

// plainTexts tells whether the templates that a file of JSON holds may be read: none is nested
// too deeply, and no comment ("//"), whose text is no template, stands among them.
func plainTexts(raw []byte) bool {
	texts := json.NewDecoder(bytes.NewReader(raw))
	for {
		word, err := texts.Token()
		if err != nil {
			return errors.Is(err, io.EOF)
		}
		text, is := word.(string)
		if text == "//" {
			return false
		}
		if !is || !strings.Contains(text, "${") && !strings.Contains(text, "%{") {
			continue
		}
		words, _ := hclsyntax.LexTemplate([]byte(text), "", hcl.InitialPos)
		if checkWords(words) != nil {
			return false
		}
	}
}

func checkWords(words hclsyntax.Tokens) error {
	nested, signs, operators := 0, 0, 0
	text, joined := 0, 0
	for _, w := range words {
		sign := false
		if w.Type == hclsyntax.TokenStringLit {
			text += len(w.Bytes)
			joined += text
		} else {
			text = 0
		}
		switch w.Type {
		case hclsyntax.TokenOBrace, hclsyntax.TokenOBrack, hclsyntax.TokenOParen, hclsyntax.TokenTemplateInterp:
			nested++
		case hclsyntax.TokenTemplateControl:
			nested++
			operators++
		case hclsyntax.TokenCBrace, hclsyntax.TokenCBrack, hclsyntax.TokenCParen, hclsyntax.TokenTemplateSeqEnd:
			nested = max(0, nested-1)
		case hclsyntax.TokenBang, hclsyntax.TokenMinus:
			sign = true
			operators++
		case hclsyntax.TokenQuestion, hclsyntax.TokenPlus, hclsyntax.TokenStar, hclsyntax.TokenSlash, hclsyntax.TokenPercent,
			hclsyntax.TokenEqualOp, hclsyntax.TokenNotEqual, hclsyntax.TokenLessThan, hclsyntax.TokenLessThanEq,
			hclsyntax.TokenGreaterThan, hclsyntax.TokenGreaterThanEq, hclsyntax.TokenAnd, hclsyntax.TokenOr:
			operators++
		case hclsyntax.TokenNewline, hclsyntax.TokenComment:
			sign = signs > 0 // within brackets a line's end says nothing
		}
		if sign {
			signs++
		} else {
			signs = 0
		}
		if nested > maxNested || signs > maxNested || operators > maxOperators {
			return errDeep
		}
		if joined > maxJoined {
			return errLarge
		}
	}
	return nil
}

// deepJSON looks at brackets outside of texts.
func deepJSON(raw []byte) bool {
	nested, text := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case text && c == '\\':
			i++
		case c == '"':
			text = !text
		case text:
		case c == '{', c == '[':
			if nested++; nested > maxNested {
				return true
			}
		case c == '}', c == ']':
			nested--
		}
	}
	return false
}
