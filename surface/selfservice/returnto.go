package selfservice

import (
	"cmp"

	"github.com/usher-id/usher/surface"
	"github.com/usher-id/usher/tenant"
)

// returnTo is where the client wants to go afterwards; "" for where it always
// goes.
func (c *call) returnTo() (string, error) {
	to := c.param("return_to")
	if to == "" {
		return "", nil
	}
	allowed := append(c.cfg.SelfService.Pages(), c.root+"/self-service") // where there is no page, a flow's document
	if len(to) > surface.MaxURL || !tenant.Returns(to, append(allowed, c.cfg.Web.ReturnURLs...)...) {
		return "", errReturnTo("is not one of the tenant's return URLs, nor below one")
	}
	return to, nil
}

// after is where the browser goes when all is done.
func (c *call) after(returnTo string) string {
	return cmp.Or(returnTo, c.cfg.SelfService.DefaultReturnURL, c.base+"/")
}
