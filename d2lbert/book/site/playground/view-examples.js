/* Prepared states of the playground, each with what to look at. What `look`
   says is true of bert.mini, and tests/test_playground.py measures it. */
"use strict";
var d2lbert = globalThis.d2lbert || {};

d2lbert.examples = [
  {name: "What a crane lifts",
   address: "text=the+crane+lifts+[steel]&view=words",
   look: "The crane is a machine here: steel, pipes and bricks are likely. " +
         "Type eats in place of lifts, and it is a bird that eats frogs."},
  {name: "He or she",
   address: "text=mira+is+the+driver+of+the+red+crane|" +
            "[she]+just+left+the+cabin&view=words",
   look: "A pronoun belongs here, and that the model knows. It gives he and " +
         "she the same probability: which names are women’s it has not " +
         "learned."},
  {name: "Does it follow?",
   address: "text=a+crane+driver+came|he+just+left&view=next",
   look: "Honey bees and plum cakes do not follow a crane driver. The bird " +
         "that dances does, although a driver belongs to the other crane."},
  {name: "Before and after",
   address: "text=the+hungry+crane+[eats]+frogs+in+the+marsh" +
            "&view=attention&layer=2&head=1&token=4",
   look: "In block 2, head 1 reads the token before and head 2 the token " +
         "after, with weights near 1. Both hold for other sentences."},
  {name: "Two mice",
   address: "text=the+mouse+eats+cheese+in+the+kitchen&view=vectors&token=2" +
            "&with=the+mouse+opens+the+file+in+the+office",
   look: "One word, two vectors: each lies among the sentences of its own " +
         "sense. The two senses of crane are less far apart."},
  {name: "Step by step",
   address: "text=a+crane+driver+came|he+just+left" +
            "&view=steps&layer=1&head=1&token=2&step=2",
   look: "From the id of crane to its vector, in five steps."},
  {name: "Words it does not know",
   address: "text=paris+is+the+[capital]+of+france&view=words",
   look: "paris and france are not among its words and go in as <unk>. The " +
         "model answers all the same."},
];
