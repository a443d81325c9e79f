# -*- coding: gbk -*-
TEXT = u"你好"
