class Service(:
