# -*- coding: gbk -*-
import cPickle
from model_service.pytorch_model_service import PTServingBaseService
import utils


class Old(PTServingBaseService):
    def _inference(self, data):
        print "called"
        print u"你"
        return {u"你": cPickle.loads(cPickle.dumps([i for i in xrange(3)])), "s": "\xe4\xbd\xa0"}
