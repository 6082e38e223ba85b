// An assembly file, even an empty one, lets functions of this package have no body.
