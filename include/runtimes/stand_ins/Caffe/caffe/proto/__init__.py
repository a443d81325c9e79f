"""Messages of caffe.proto that inference code reads."""
