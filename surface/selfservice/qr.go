package selfservice

import (
	"encoding/base64"

	"rsc.io/qr"
)

// qrSize is the width of the image on a page, in pixels.
const qrSize = 256

// qrCode draws text as an image, for a page without scripts.
func qrCode(text string) (src string, err error) {
	code, err := qr.Encode(text, qr.M)
	if err != nil {
		return "", err
	}
	return "data:image/png;base64," + base64.StdEncoding.EncodeToString(code.PNG()), nil
}
